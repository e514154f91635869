"""Videos, by the package `av` (PyAV, with FFmpeg's libraries), which the extra `video` installs."""

import importlib
import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from jaxgen.io.errors import InputError

VIDEOS = (".mov", ".mp4", ".webm")
BT709, LIMITED, FULL = 1, 1, 2
"""FFmpeg's numbers of the colour space BT.709, and of values from 16 to 235 and from 0 to 255."""
QUALITY = {"crf": "17"}
"""Of H.264, from 0 to 51: smaller is better, and a larger file."""


def is_video(name: object) -> bool:
    """Whether the name of a file is that of a video."""
    return str(name).lower().endswith(VIDEOS)


def video_library(name: object) -> Any:
    """The package `av`, for reading or writing the video `name`.

    Raises:
      InputError: it is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError as error:
        advice = "pip install 'jaxgen[video]'"
        raise InputError(f"{name} is a video, and the package {error.name} is not installed: {advice}.") from error


def mp4(frames: Sequence[Image.Image], milliseconds: int) -> bytes:
    """Pictures of one size as a video, H.264 in MP4; odd sides, which it has not, repeat their last row or column.

    Raises:
      InputError: the package `av` is not installed.
    """
    av, file = video_library("An MP4"), io.BytesIO()
    width, height = frames[0].size
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(1000, milliseconds), options=QUALITY)
        stream.height, stream.width, stream.pix_fmt = height + height % 2, width + width % 2, "yuv420p"
        codec = stream.codec_context
        codec.colorspace = codec.color_primaries = codec.color_trc = BT709
        codec.color_range = LIMITED
        for frame in frames:
            pixels = np.pad(np.asarray(frame.convert("RGB")), ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            options = {"dst_colorspace": BT709, "src_color_range": FULL, "dst_color_range": LIMITED}
            container.mux(stream.encode(picture.reformat(format="yuv420p", **options)))
        container.mux(stream.encode())
    return file.getvalue()
