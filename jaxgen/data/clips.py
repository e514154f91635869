"""Clips in a folder or an archive: animated GIF, WEBP or PNG files, videos, or a folder of frames for each clip.

    cat/a.gif, dog/b.mp4, ...           animations and videos (MP4, MOV, WEBM; extra `video`), each a clip
    cat/a/1.png, cat/a/2.png, ...       frames in natural order (2 before 10), each folder of them a clip

Labels and captions go with clips as with images (`annotations`): the `file_name` in a `metadata.jsonl` is that of the
animation, the video or the folder of frames.
"""

import os
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.annotations import Annotations, annotations_of
from jaxgen.data.class_names import natural_order
from jaxgen.data.clip_file import ClipHeader, Files, decode_clip, is_animation, read_clip_header
from jaxgen.data.dataset import CLIP, Dataset, FieldTypes, StreamedDataset, in_memory, read_arrays
from jaxgen.data.folder import list_files
from jaxgen.data.image_file import SUFFIXES
from jaxgen.data.image_options import AS_STORED, ImageOptions
from jaxgen.data.listing import Listing
from jaxgen.data.survey import open_image, state_of
from jaxgen.data.threads import by_threads
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath, expanded
from jaxgen.io.terminal import say
from jaxgen.io.video import VIDEOS, is_video


class Clip(NamedTuple):
    """The name of a clip in its listing, the names of its files, and its header."""

    name: bytes
    files: list[bytes]
    header: ClipHeader


def load_clips(
    path: AnyPath,
    *,
    frames: int | None = None,
    drop_short: bool = False,
    images: ImageOptions = AS_STORED,
    announce: Callable[[str], None] = say,
) -> Dataset:
    """The clips of a folder or an archive in memory, uint8 [N, T, H, W, C], grey if every frame is or `images` say so.

    A clip is its first `frames` frames, one after the other, so that it moves as fast as it is stored; by default all
    of them, which must be equally many.  Shorter clips are refused, or left out if `drop_short`.

    Raises:
      InputError: there are no clips; one cannot be read, or has one frame, too few or far too many; several lengths or
        sizes; labels or captions that do not go with the clips.
    """
    images.check()
    streamed = stream_clips(expanded(path), frames=frames, drop_short=drop_short, images=images, announce=announce)
    return in_memory(streamed, read_arrays(streamed))


def stream_clips(
    path: Path,
    *,
    frames: int | None,
    drop_short: bool = False,
    images: ImageOptions = AS_STORED,
    announce: Callable[[str], None] = say,
) -> StreamedDataset:
    """The clips of a folder or an archive as `load_clips` gives them, read one at a time; only headers are read here.

    Raises:
      InputError: as `load_clips`, but for damage after the header.
    """
    if frames is not None and frames < 2:
        raise InputError(f"--frames {frames}: a clip has at least 2.")
    if drop_short and frames is None:
        raise InputError("--drop-short leaves out clips of fewer frames than --frames: give it too.")
    files = list_files(path, announce, (*SUFFIXES, *VIDEOS))
    clips = _listed(files, frames)
    labels, class_names, captions = annotations_of(
        files._replace(names=np.array([clip.name for clip in clips])), announce
    )
    usable = [not drop_short or clip.header.frames >= (frames or 2) for clip in clips]
    if left_out := usable.count(False):
        announce(f"{left_out:,} clips in {path} have fewer than {frames} frames, and are left out")
    clips, captions = list(compress(clips, usable)), tuple(compress(captions, usable))
    labels = None if labels is None else labels[usable]
    shape = _shape_of(files, clips, frames, images)
    if longer := [clip for clip in clips if clip.header.frames > shape[0]]:
        announce(f"{len(longer):,} clips in {path} have more than {shape[0]} frames, of which the first are used")

    def read(index: int) -> dict[str, np.ndarray]:
        clip = decode_clip(_openers(files, clips[index].files), range(shape[0]), shape[-1], images)
        if clip.shape != shape:
            raise InputError(f"{files.path(clips[index].name)} has changed since it was listed: start again.")
        return {CLIP: clip} if labels is None else {CLIP: clip, "label": labels[index]}

    fields: FieldTypes = {CLIP: (shape, np.dtype(np.uint8))}
    if labels is not None:
        fields["label"] = ((), labels.dtype)
    return StreamedDataset(
        read=read,
        size=len(clips),
        fields=fields,
        source=f"clips in {path}",
        split="all",
        digest=_digest(files, clips, shape, images, Annotations(labels, class_names, captions)),
        captions=captions,
        class_names=class_names,
        num_classes=None if labels is None else int(labels.max()) + 1,
    )


def _listed(files: Listing, frames: int | None) -> list[Clip]:
    """The clips of a listing in the order of their paths.

    Raises:
      InputError: a still beside the folders of frames, or a header that shows that a clip cannot be read.
    """
    names = files.names.tolist()
    are_animations = any(is_video(files.path(name)) for name in names)
    if not are_animations:
        with open_image(files, names[0]) as file:
            are_animations = is_animation(file, files.path(names[0]))
    groups = {name: [name] for name in names} if are_animations else _by_folder(files, names)

    def read(name: bytes) -> Clip:
        header = read_clip_header(_openers(files, groups[name]), files.path(name), frames)
        return Clip(name, groups[name], header)

    return by_threads(read, list(groups), f"Reading the headers of {len(groups):,} clips")


def _by_folder(files: Listing, names: list[bytes]) -> dict[bytes, list[bytes]]:
    """The names of the frames in each folder, in natural order."""
    clips: dict[bytes, list[bytes]] = {}
    for name in names:
        folder, _, _ = name.rpartition(b"/")
        if not folder:
            raise InputError(
                f"{files.path(name)} is one image, and no clip: expected an animated GIF, WEBP or PNG, a video, or the "
                "frames of each clip in a folder of its own."
            )
        clips.setdefault(folder, []).append(name)
    return {folder: sorted(them, key=lambda name: natural_order(os.fsdecode(name))) for folder, them in clips.items()}


def _openers(files: Listing, names: list[bytes]) -> Files:
    return [(files.path(name), partial(open_image, files, name)) for name in names]


def _shape_of(
    files: Listing, clips: list[Clip], frames: int | None, options: ImageOptions
) -> tuple[int, int, int, int]:
    """The one shape [T, H, W, C] of all clips as they are read.

    Raises:
      InputError: no clips, a shorter one, several lengths without `frames`, or several sizes without one in `options`.
    """
    if not clips:
        raise InputError(f"{files.place} has no clip of at least {frames} frames: give a smaller --frames.")
    first, longest = clips[0], max(clip.header.frames for clip in clips)
    shortest = min(clips, key=lambda clip: clip.header.frames)
    if (least := shortest.header.frames) < (frames or longest):
        others = f"--frames {frames} needs as many" if frames else f"another clip has {longest}"
        drop = "" if frames is None else f", or leave out those of fewer than {frames} with --drop-short"
        raise InputError(
            f"{files.path(shortest.name)} has {least} frames; {others}: give --frames {least}, the first ones of each "
            f"clip{drop}."
        )
    other = next((clip for clip in clips if clip.header[1:3] != first.header[1:3]), None)
    if options.size is None and other is not None:
        sizes = [f"{files.path(clip.name)} is {'x'.join(map(str, clip.header[1:3]))}" for clip in (first, other)]
        raise InputError(f"{' and '.join(sizes)}: make all clips one size with --size.")
    is_grey = options.grey or (all(clip.header.channels == 1 for clip in clips) and options.is_grey_background)
    height, width = options.size or first.header[1:3]
    return frames or least, height, width, 1 if is_grey else 3


def _digest(
    files: Listing, clips: list[Clip], shape: tuple[int, ...], options: ImageOptions, annotations: Annotations
) -> str:
    """The SHA-256 of the files' names and sizes, of how they are read, and of labels and captions."""
    digest = sha256(f"{shape} {tuple(options)}".encode())
    for name in (name for clip in clips for name in clip.files):
        with open_image(files, name) as file:
            digest.update(name + f"\0{state_of(file)[0]}\n".encode())
    labels = b"" if annotations.labels is None else annotations.labels.tobytes()
    digest.update(labels + "\0".join((*annotations.class_names, "", *annotations.captions)).encode())
    return digest.hexdigest()
