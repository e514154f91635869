"""Images side by side in one PNG."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from jaxgen.io.files import AnyPath, write_whole
from jaxgen.io.video import mp4

GAP = 2
MIN_SIDE = 56
EMPTY = 64
"""The grey level where a grid has no image."""
XMP = "XML:com.adobe.xmp"
"""The keyword of the text in a PNG that is its XMP."""


def image_grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Images uint8 [N, H, W, C] as one image, row by row; about as many columns as rows unless `columns` is given."""
    num, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    canvas = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), EMPTY, np.uint8)
    for place, image in enumerate(images):
        top, left = (
            GAP + index * (side + GAP) for index, side in zip(divmod(place, columns), (height, width), strict=True)
        )
        canvas[top : top + height, left : left + width] = image
    return canvas


def picture(images: np.ndarray, columns: int | None = None) -> Image.Image:
    """A grid as a picture, which notebooks show; images of at most 28 pixels are enlarged to at most 56."""
    grid = image_grid(images, columns)
    factor = max(1, MIN_SIDE // min(images.shape[1:3]))
    grid = grid.repeat(factor, axis=0).repeat(factor, axis=1)
    return Image.fromarray(grid[..., 0] if grid.shape[-1] == 1 else grid)


def save_grid(path: AnyPath, images: np.ndarray, columns: int | None = None) -> None:
    """Writes a grid of images uint8 [N, H, W, C] as PNG; small images are enlarged."""
    file = io.BytesIO()
    picture(images, columns).save(file, "PNG")
    write_whole(path, file.getvalue())


def save_image(path: AnyPath, image: np.ndarray) -> None:
    """Writes one image uint8 [H, W, C] as PNG, at its own size."""
    write_whole(path, png(image))


def png(image: np.ndarray, xmp: str = "") -> bytes:
    """An image uint8 [H, W, C] as a PNG, at its own size, perhaps with metadata in XMP."""
    file, text = io.BytesIO(), PngImagePlugin.PngInfo()
    if xmp:
        text.add_itxt(XMP, xmp)
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG", pnginfo=text)
    return file.getvalue()


def animation(
    frames: np.ndarray,
    *,
    columns: int | None = None,
    milliseconds: int = 80,
    is_loop: bool = False,
    kind: str = "GIF",
) -> bytes:
    """Frames uint8 [T, N, H, W, C], a grid of N images each, as an animation: a loop, or forwards and backwards.

    `kind` is "GIF", which has 256 colours, "WEBP" or "PNG", which keep all, or "MP4", a video (extra `video`).
    """
    there = [picture(images, columns) for images in frames]
    first, *others = there if is_loop else [*there, *there[-2:0:-1]]
    if kind == "MP4":
        return mp4([first, *others], milliseconds)
    file = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    first.save(file, kind, save_all=True, append_images=others, duration=milliseconds, loop=0, **options)
    return file.getvalue()


def save_animation(
    path: AnyPath,
    frames: np.ndarray,
    *,
    columns: int | None = None,
    milliseconds: int = 80,
    is_loop: bool = False,
) -> None:
    """Writes frames uint8 [T, N, H, W, C], a grid of N images each, as `animation` does: .webp, .png, .mp4 or GIF."""
    kind = {".webp": "WEBP", ".png": "PNG", ".apng": "PNG", ".mp4": "MP4"}.get(Path(path).suffix.lower(), "GIF")
    made = animation(frames, columns=columns, milliseconds=milliseconds, is_loop=is_loop, kind=kind)
    write_whole(path, made)
