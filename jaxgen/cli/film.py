"""`python -m jaxgen film`: films by a run of clips, from nothing, from a past, or between two frames."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from jaxgen.cli.arguments import require_run, require_suffix, writing
from jaxgen.cli.conditions import DrawOptions, fields_from_options
from jaxgen.core.condition import KNOWN, UNKNOWN
from jaxgen.core.image import ImageSpec
from jaxgen.data.clip_file import read_clip
from jaxgen.data.image_file import read_image, with_channels
from jaxgen.data.image_options import ImageOptions
from jaxgen.export.films import FRAME_SAMPLER, clip_length, draw_films, load_frame_sampler
from jaxgen.io.archive import save_archive
from jaxgen.io.errors import InputError
from jaxgen.io.pictures import save_animation
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.io.video import is_video, video_library
from jaxgen.training.config import Bounds, require_bounds


@dataclass(frozen=True)
class Film(DrawOptions):
    """Draw films with a run that was trained on clips: whole ones, the future of a past, or what lies between two
    frames.  Each of several films is another plausible one.
    """

    past: UserPath | None = None
    """An animated GIF, WEBP or PNG, a video, or a folder of frames.  The films begin with its last T - 1 frames, or
    T / 2 of them with --last, where T is the length of the run's clips."""
    first: UserPath | None = None
    """A picture that the films begin with."""
    last: UserPath | None = None
    """A picture: the last frame of the films, which then are as long as the run's clips."""
    num: Annotated[int, Bounds(least=1, most=100)] = 4
    """Films, side by side."""
    frames: Annotated[int, Bounds(least=1, most=10_000)] | None = None
    """Length of a film, its past included.  By default it is that of the run's clips, which a past is added to."""
    milliseconds: Annotated[int, Bounds(least=20, most=10_000)] = 80
    """Milliseconds for which a frame is shown."""
    out: UserPath = Path("film.gif")
    """An animated .gif, .webp or .png, a video .mp4, or an .npz with `arr_0` uint8 [N, T, H, W, C]."""


def draw_film(options: Film) -> None:
    """Draws films and writes them.

    Raises:
      InputError: an option is out of range, a picture or the run cannot be used, or the file cannot be written.
    """
    require_bounds(options)
    require_suffix(options.out, ".gif", ".webp", ".png", ".mp4", ".npz")
    if is_video(options.out):
        video_library(f"--out {options.out}")
    require_run(options.run)
    if not (options.run / FRAME_SAMPLER).is_dir():
        raise InputError(
            f"{options.run} has no {FRAME_SAMPLER}/ to draw films with: it draws images (`python -m jaxgen sample`), "
            "was not trained to its end, or by an earlier version."
        )
    sampler = load_frame_sampler(options.run / FRAME_SAMPLER)
    clip = clip_length(sampler)
    if options.last and options.frames not in (None, clip):
        raise InputError(f"--frames {options.frames} with --last: the last frame is that of a clip, number {clip}.")
    known = _known(options, clip, sampler.spec)
    is_known = (known != UNKNOWN).all(axis=(1, 2, 3))
    length = options.frames or clip + (int(is_known.sum()) if options.past and not options.last else 0)
    if options.last and is_known.all():
        raise InputError(f"--last {options.last}: clips of this run have {clip} frames, none of which is left to draw.")
    if is_known[:length].all():
        given = f"--past {options.past}" if options.past else f"--first {options.first}"
        raise InputError(f"--frames {length} with {given}: all of these frames are known; give more.")
    others = {name: one for name, one in sampler.conditions.items() if name != KNOWN}
    fields = fields_from_options(options, sampler._replace(conditions=others), options.num)
    films = draw_films(sampler, options.seed, options.num, length, known, fields=fields)
    with writing(options.out):
        if options.out.suffix == ".npz":
            save_archive(options.out, films)
        else:
            frames = np.moveaxis(films, 0, 1)
            save_animation(options.out, frames, milliseconds=options.milliseconds, is_loop=True)
    say(f"{options.num:,} films of {length:,} frames in {options.out}")


def _known(options: Film, clip: int, spec: ImageSpec) -> np.ndarray:
    """The known frames int16 [T, H, W, C], -1 where there is none.

    Raises:
      InputError: a past and a first frame, or one that cannot be read.
    """
    how = ImageOptions(size=spec[:2], grey=spec.channels == 1)
    if options.past and options.first:
        raise InputError(f"--first {options.first} with --past {options.past}: a film has one beginning.")
    known = np.full((clip, *spec), UNKNOWN, np.int16)
    if options.past:
        past = with_channels(read_clip(options.past, how, last=clip // 2 if options.last else clip - 1), spec.channels)
        known[: len(past)] = past
    for path, place in ((options.first, 0), (options.last, -1)):
        if path is not None:
            known[place] = with_channels(read_image(path, how), spec.channels)
    return known
