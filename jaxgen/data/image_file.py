"""One image file: its header and its pixels.

An image is read as viewers show it: turned by its EXIF orientation, and on a background where it is transparent.
Channels of 16 bits are scaled to 8.  Integers of 32 bits and floats have no known range and are refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from jaxgen.data.deep import DEEP_GREY_MODES, eight_bits, is_deep, is_grey, scaled
from jaxgen.data.image_options import AS_STORED, GREY_MODES, MAX_PIXELS, ImageOptions, rendered
from jaxgen.data.orientation import KEEPS_TAG, orientation_of, orientation_tag, swaps_sides, turned
from jaxgen.io.errors import InputError, refuse_damage

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = (".apng", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # one long text is no reason to refuse an image


class Header(NamedTuple):
    """The size of an upright image, its channels (1 or 3), whether they have 16 bits, whether it may be transparent,
    and the format of its file.
    """

    height: int
    width: int
    channels: int
    is_deep: bool
    is_transparent: bool
    format: str


def read_image(path: Path, options: ImageOptions = AS_STORED) -> np.ndarray:
    """One image file, uint8 [H, W, C].

    Raises:
      InputError: no readable image of an allowed format, values without a known range, more pixels than `MAX_PIXELS`,
        or a shape that is far from that of the options.
    """
    with refuse_damage(path, "an image"), path.open("rb") as file:
        return decode(file, path, options)


def decode(file: BinaryIO, name: object, options: ImageOptions = AS_STORED) -> np.ndarray:
    """The image in an open file, uint8 [H, W, C]; `name` is the file's name in errors.

    Raises:
      InputError: as `read_image`, or its shape is far from that of the options.
    """
    with opened(file, name) as image:
        return _decoded(image, file, name, options)


def decode_with_header(file: BinaryIO, name: object, options: ImageOptions) -> tuple[Header, np.ndarray]:
    """The header of an image, and the image as `decode` gives it.

    Raises:
      InputError: as `decode`.
    """
    with opened(file, name) as image:
        if image.format in KEEPS_TAG:
            return _header(image, file), _decoded(image, file, name, options)
    return read_header(file, name), decode(file, name, options)  # the header of other formats may load the pixels


def from_pillow(image: Image.Image, name: object, options: ImageOptions = AS_STORED) -> np.ndarray:
    """A Pillow image as `decode` gives it, uint8 [H, W, C]; `name` says in errors which one it is.

    Raises:
      InputError: it cannot be loaded, its values have no known range, or its shape is far from that of the options.
    """
    if image.mode in ("I", "F"):
        kind = f"a Pillow image of mode {image.mode}"
        raise InputError(f"{name} is {kind}, whose range is unknown: convert it to L or RGB.")
    with refuse_damage(name, "an image"):
        image.load()
        if image.mode in DEEP_GREY_MODES:
            values = np.asarray(image).astype(np.int64)[..., np.newaxis]
            shallow = eight_bits(values, image.info.get("transparency"))
            return _pixels(shallow, orientation_tag(image), name, options)
        return _pixels(image, orientation_tag(image), name, options)


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Images [..., C] with as many channels: those of grey images are repeated.

    Raises:
      ValueError: images in colour, of which one channel is asked.
    """
    if images.shape[-1] not in (1, channels):
        raise ValueError(f"Images of {images.shape[-1]} channels; expected 1 or {channels}.")
    return np.repeat(images, channels // images.shape[-1], axis=-1)


def read_header(file: BinaryIO, name: object) -> Header:
    """What `decode` would give of an image as stored, without reading the pixels of most formats.

    Raises:
      InputError: as `read_image`, where the header shows it.
    """
    with opened(file, name) as image:
        return _header(image, file)


def _header(image: Image.Image, file: BinaryIO) -> Header:
    deep, transparent = is_deep(image), image.has_transparency_data
    channels = 1 if image.mode in GREY_MODES or (deep and is_grey(image)) else 3
    width, height = image.size[::-1] if swaps_sides(orientation_of(image, file)) else image.size
    return Header(height, width, channels, deep, transparent, image.format or "")


def _decoded(image: Image.Image, file: BinaryIO, name: object, options: ImageOptions) -> np.ndarray:
    if options.size is not None and image.format in ("JPEG", "MPO"):
        return _decode_jpeg(image, name, options)
    shallow = scaled(image, file) if is_deep(image) else image
    return _pixels(shallow, orientation_of(image, file), name, options)


def _decode_jpeg(image: Image.Image, name: object, options: ImageOptions) -> np.ndarray:
    """The pixels of a JPEG, decoded at a scale of 1/2, 1/4 or 1/8 where that leaves enough of them."""
    orientation, (width, height) = orientation_tag(image), image.size
    if swaps_sides(orientation):
        width, height = height, width
    options.require_shape(name, height, width)
    if (size := options.draft_size(height, width)) is not None:
        image.draft(None, (size[1], size[0]) if swaps_sides(orientation) else size)
    return _array(rendered(turned(image, orientation), options, (width, height)))


def _pixels(image: Image.Image, orientation: int, name: object, options: ImageOptions) -> np.ndarray:
    """An image of 8 bits as uint8 [H, W, C]."""
    upright = turned(image, orientation)
    options.require_shape(name, upright.height, upright.width)
    return _array(rendered(upright, options, upright.size))


def _array(image: Image.Image) -> np.ndarray:
    return np.array(image).reshape(image.height, image.width, -1)


@contextmanager
def opened(file: BinaryIO, name: object) -> Iterator[Image.Image]:
    """An open file as a Pillow image whose pixels have not been read.

    Raises:
      InputError: as `read_image`, or an exception in the context.
    """
    with refuse_damage(name, "an image"):
        try:
            image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError as error:
            raise ValueError(f"it is damaged, or none of {', '.join(FORMATS)}") from error
        with image:
            if not 0 < image.width * image.height <= MAX_PIXELS:
                raise InputError(f"{name} has {image.height} x {image.width} pixels; at most {MAX_PIXELS:,} are read.")
            if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
                kind = "floats" if image.mode == "F" else "signed or 32-bit integers"
                raise InputError(f"{name} has {kind}, whose range is unknown: save it with 8 or 16 bits per channel.")
            yield image
