"""The frames of one video: MP4, MOV or WEBM.

Frames are read as viewers show them, turned by the rotation in the file; what is transparent is not.  They are decoded
one after the other, each brought to its size before the next.  Most videos hold no checksums: damage that the decoder
does not notice is read as it looks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from jaxgen.data.image_file import from_pillow
from jaxgen.data.image_options import ImageOptions
from jaxgen.io.errors import InputError, refuse_damage
from jaxgen.io.video import video_library


def read_video_header(file: BinaryIO, name: object, most: int | None) -> tuple[int, int, int, int]:
    """The number of frames, of which at most `most` are counted; their height, width and channels (1 or 3).

    Counts what the file stores, and decodes the first frame alone.

    Raises:
      InputError: it cannot be read as a video, or its first frame cannot.
    """
    count, first = 0, None
    with _opened(file, name) as (container, stream):
        for packet in container.demux(stream):  # the last one is empty, and gives the frames that are still to come
            count += packet.size > 0 and not packet.is_discard
            first = first or next(iter(packet.decode()), None)
            if first and most and count >= most:
                break
        if first is None:
            raise InputError(f"{name} is a video without frames: move it away.")
        height, width = (first.width, first.height) if _quarters(first) % 2 else (first.height, first.width)
        return count, height, width, 1 if _is_grey(first) else 3


def decode_video(file: BinaryIO, name: object, chosen: range, options: ImageOptions) -> list[np.ndarray]:
    """The chosen frames of a video, each uint8 [H, W, C] at the size of the options.

    Raises:
      InputError: it is damaged or shorter, or its shape is far from that of the options.
    """
    with _opened(file, name) as (container, stream):
        frames = islice(container.decode(stream), chosen.start, chosen.stop)
        images = [from_pillow(_picture(frame, name), name, options) for frame in frames]
    if len(images) < len(chosen):
        raise InputError(f"{name} has fewer frames than it says, {chosen.start + len(images):,}: move it away.")
    return images


@contextmanager
def _opened(file: BinaryIO, name: object) -> Iterator[tuple[Any, Any]]:
    """The container and its stream of pictures, read as the format that its name says and as no other."""
    av = video_library(name)
    kind = "matroska" if str(name).lower().endswith(".webm") else "mov"
    with refuse_damage(name, "a video"), av.open(file, format=kind) as container:
        if not container.streams.video:
            raise InputError(f"{name} has no pictures, only sound: move it away.")
        yield container, container.streams.video[0]


def _picture(frame: Any, name: object) -> Image.Image:
    if frame.is_corrupt:  # decoders fill in what they cannot read
        raise InputError(f"{name} is damaged: move it away.")
    pixels = frame.to_ndarray(format="gray" if _is_grey(frame) else "rgb24")
    return Image.fromarray(np.rot90(pixels, _quarters(frame)))


def _is_grey(frame: Any) -> bool:
    return frame.format.name.startswith("gray")


def _quarters(frame: Any) -> int:
    """By how many quarters of a turn a frame is shown, against the clock."""
    return round(frame.rotation / 90)
