"""One clip: an animated GIF, WEBP or PNG, a video, or the files of its frames.

Frames are read as viewers show them: each composed with those before it, turned by the EXIF orientation, and on a
background where it is transparent.  Each stored frame counts once, however long it is shown: encoders may store equal
frames in a row as one that is shown for longer.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from jaxgen.data.class_names import natural_order
from jaxgen.data.image_file import SUFFIXES, decode, from_pillow, opened, read_header
from jaxgen.data.image_options import GREY_MODES, MAX_PIXELS, ImageOptions
from jaxgen.data.orientation import orientation_tag, swaps_sides
from jaxgen.data.video_file import decode_video, read_video_header
from jaxgen.io.errors import InputError, refuse_damage
from jaxgen.io.video import is_video

ANIMATED = ("GIF", "WEBP", "PNG")
"""Formats of animations."""
Files = Sequence[tuple[Path, Callable[[], BinaryIO]]]
"""The file of an animation or a video, or those of a clip's frames: their paths, for errors, and what opens them."""


class ClipHeader(NamedTuple):
    """The frames of a clip, their size as stored, and their channels (1 or 3)."""

    frames: int
    height: int
    width: int
    channels: int


def read_clip(path: Path, options: ImageOptions, *, last: int | None = None) -> np.ndarray:
    """All frames of an animation, a video or a folder of frames, or the `last` ones, uint8 [T, H, W, C].

    They have the size of the options.

    Raises:
      InputError: it cannot be read, or has one frame, or too many pixels.
    """
    with refuse_damage(path, "a clip"):
        path.stat()
        images = (one for one in path.iterdir() if one.suffix.lower() in SUFFIXES) if path.is_dir() else (path,)
        files = [(one, partial(one.open, "rb")) for one in sorted(images, key=lambda one: natural_order(one.name))]
    if not files:
        raise InputError(f"{path} holds no frames: expected images.")
    header = _header(files, path, None)
    chosen = range(max(0, header.frames - (last or header.frames)), header.frames)
    _require_pixels(header, len(chosen), path)
    return decode_clip(files, chosen, 1 if options.grey else header.channels, options)


def is_animation(file: BinaryIO, name: object) -> bool:
    """Whether an image file has several frames.

    Raises:
      InputError: it cannot be read as an image.
    """
    with opened(file, name) as image:
        return _num_frames(image) > 1


def read_clip_header(files: Files, name: object, frames: int | None) -> ClipHeader:
    """The header of a clip, of which at most `frames` will be read; `name` is its name in errors.

    Of a video no more frames are counted.

    Raises:
      InputError: it cannot be read, has one frame, frames of several sizes, an animation among them, or more pixels
        than `MAX_PIXELS`.
    """
    header = _header(files, name, frames)
    _require_pixels(header, min(header.frames, frames or header.frames), name)
    return header


def decode_clip(files: Files, chosen: range, channels: int, options: ImageOptions) -> np.ndarray:
    """The chosen frames of a clip, uint8 [T, H, W, C] at the size of the options.

    Raises:
      InputError: it is damaged or shorter, or its shape is far from that of the options.
    """
    if len(files) > 1:
        images = [_frame(path, open_file, options) for path, open_file in files[chosen.start : chosen.stop]]
    else:
        ((path, open_file),) = files
        with open_file() as file:
            images = (decode_video if is_video(path) else _decode_animation)(file, path, chosen, options)
    (height, width), *others = dict.fromkeys(image.shape[:2] for image in images)
    if others:
        first, second = ("x".join(map(str, size)) for size in ((height, width), others[0]))
        raise InputError(f"{files[0][0]} has frames of {first} and of {second}: give a --size for all.")
    return np.stack([np.broadcast_to(image, (height, width, channels)) for image in images])


def _header(files: Files, name: object, frames: int | None) -> ClipHeader:
    if len(files) > 1:
        header = _of_frames(files, frames)
    else:
        ((path, open_file),) = files
        with open_file() as file:
            header = _of_video(file, path, frames) if is_video(path) else _of_animation(file, path)
    if header.frames < 2:
        raise InputError(
            f"{name} has one frame, and is no clip: expected an animated GIF, WEBP or PNG, a video, or a folder of "
            "frames; move it away."
        )
    return header


def _require_pixels(header: ClipHeader, frames: int, name: object) -> None:
    pixels, most = header.height * header.width, MAX_PIXELS // (header.height * header.width)
    if frames > most:
        raise InputError(
            f"{name} has {header.frames:,} frames of {header.height} x {header.width}, {header.frames * pixels:,} "
            f"pixels; at most {MAX_PIXELS:,} are read: give --frames {most} or fewer, or move it away."
        )


def _of_video(file: BinaryIO, name: object, frames: int | None) -> ClipHeader:
    return ClipHeader(*read_video_header(file, name, frames))


def _of_animation(file: BinaryIO, name: object) -> ClipHeader:
    with opened(file, name) as image:
        # Pillow gives the first frame of a GIF in colours of a palette, or grey, and the others in colour.
        is_grey = image.format != "GIF" and image.mode in GREY_MODES
        width, height = image.size[::-1] if swaps_sides(orientation_tag(image)) else image.size
        return ClipHeader(_num_frames(image), height, width, 1 if is_grey else 3)


def _of_frames(files: Files, frames: int | None) -> ClipHeader:
    channels, first = 1, None
    for path, open_file in files[:frames]:
        with open_file() as file:
            header = read_header(file, path)
            if is_animation(file, path):
                raise InputError(f"{path} is an animation in a folder of frames: move it away.")
        first = first or header
        if header[:2] != first[:2]:
            size, expected = ("x".join(map(str, one[:2])) for one in (header, first))
            raise InputError(f"{path} is {size}; the first frame of its clip is {expected}: make them one size.")
        channels = max(channels, header.channels)
    assert first is not None
    return ClipHeader(len(files), first.height, first.width, channels)


def _frame(path: Path, open_file: Callable[[], BinaryIO], options: ImageOptions) -> np.ndarray:
    with open_file() as file:
        return decode(file, path, options)


def _decode_animation(file: BinaryIO, name: object, chosen: range, options: ImageOptions) -> list[np.ndarray]:
    with opened(file, name) as image:
        first = _first(image)
        return [_seen(image, first + number, name, options) for number in chosen]


def _seen(image: Image.Image, number: int, name: object, options: ImageOptions) -> np.ndarray:
    image.seek(number)
    return from_pillow(image, name, options)


def _first(image: Image.Image) -> int:
    """The first frame of an animation: a PNG may begin with a still for viewers that show no animations."""
    return int(getattr(image, "default_image", False))


def _num_frames(image: Image.Image) -> int:
    # Other formats have pages, and those of cameras views of one scene.
    return getattr(image, "n_frames", 1) - _first(image) if image.format in ANIMATED else 1
