"""One image file: its header, its pixels, and masks.

An image is read as viewers show it: turned by its EXIF orientation, and on white where it is transparent.  Channels of
16 bits, grey, colour and alpha alike, are scaled to 8 by

    (1)  round(255 v / 65535)

Integers of 32 bits and floats have no known range and are refused.
"""

import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from jaxgen.io.errors import InputError, refuse_damage

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MAX_PIXELS = 4096 * 4096
GREY_MODES = frozenset(("1", "L", "LA", "La"))
DEEP_GREY_MODES = frozenset(("I;16", "I;16B", "I;16L", "I;16N"))
PILLOW_KEEPS_TAG = frozenset(("JPEG", "MPO", "PNG", "WEBP"))
"""Formats that Pillow does not turn by the orientation in their header."""
ORIENTATION, BITS, PHOTOMETRIC, PLANES = 274, 258, 262, 284
"""Tags of EXIF and TIFF."""
WHITE_IS_ZERO = 0
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The turn that each EXIF orientation asks for; from 5 on it swaps the sides."""
OTHER_BYTE = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "RGBX;16B": "RGBX;16L"}
OTHER_BYTE |= {low: high for high, low in OTHER_BYTE.items()}
"""Pillow reads the high byte of 16-bit colour by its raw mode, and the low byte by that of the other byte order."""
GREYS_IN_MASK = 0.05
"""The largest share of a mask's pixels that may be in the middle half of the range."""

PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # one long text is no reason to refuse an image


class Header(NamedTuple):
    """The size that an image is read with, its channels (1 or 3), and whether those in its file have 16 bits."""

    height: int
    width: int
    channels: int
    is_deep: bool


def read_image(path: Path) -> np.ndarray:
    """One image file, uint8 [H, W, C].

    Raises:
      InputError: no readable image of an allowed format, values without a known range, or more pixels than
        `MAX_PIXELS`.
    """
    with refuse_damage(path, "an image"), path.open("rb") as file:
        return decode(file, path)


def decode(file: BinaryIO, name: object) -> np.ndarray:
    """The image in an open file, uint8 [H, W, C]; `name` is the file's name in errors.

    Raises:
      InputError: as `read_image`.
    """
    with _opened(file, name) as image:
        shallow = _scaled(image, file) if _is_deep(image) else image
        return _flat(shallow, _orientation(image, file))


def from_pillow(image: Image.Image, name: object) -> np.ndarray:
    """A Pillow image as `decode` gives it, uint8 [H, W, C]; `name` says in errors which one it is.

    Raises:
      InputError: it cannot be loaded, or its values have no known range.
    """
    if image.mode in ("I", "F"):
        kind = f"a Pillow image of mode {image.mode}"
        raise InputError(f"{name} is {kind}, whose range is unknown: convert it to L or RGB.")
    with refuse_damage(name, "an image"):
        image.load()
        if image.mode in DEEP_GREY_MODES:
            values = np.asarray(image).astype(np.int64)[..., np.newaxis]
            return _flat(_eight_bits(values, image.info.get("transparency")), _tag(image))
        return _flat(image, _tag(image))


def read_header(file: BinaryIO, name: object) -> Header:
    """What `decode` would give, without reading the pixels of most formats.

    Raises:
      InputError: as `read_image`, where the header shows it.
    """
    with _opened(file, name) as image:
        deep = _is_deep(image)
        channels = 1 if image.mode in GREY_MODES or (deep and _is_grey(image)) else 3
        width, height = image.size[::-1] if _orientation(image, file) >= 5 else image.size
        return Header(height, width, channels, deep)


def read_mask(path: Path, size: tuple[int, int], *, of: str, meaning: str) -> np.ndarray:
    """A mask uint8 [H, W, 1] of 0 and 255: black or white, whichever the mean of a pixel's channels is nearer to.

    `of` says whose size [H, W] it must have, `meaning` what black and white mean.

    Raises:
      InputError: no readable image, another size, pixels that are neither black nor white, or of one kind alone.
    """
    image = read_image(path)
    if image.shape[:2] != size:
        given, expected = ("x".join(map(str, sides)) for sides in (image.shape[:2], size))
        raise InputError(f"--mask {path} is {given}; expected {expected}, the size of {of}.")
    grey = image.mean(2, keepdims=True)
    middle = ((grey >= 64) & (grey < 192)).mean()
    if middle > GREYS_IN_MASK:
        raise InputError(f"--mask {path}: {middle:.0%} of its pixels are neither black nor white: in a mask {meaning}.")
    white = grey >= 128
    if white.all() or not white.any():
        colour = "white" if white.all() else "black"
        raise InputError(f"--mask {path} is all {colour}: in a mask {meaning}; without --mask, all is as if white.")
    return np.where(white, np.uint8(255), np.uint8(0))


def _flat(image: Image.Image, orientation: int) -> np.ndarray:
    """An image of 8 bits as pixels [H, W, C], on white where it is transparent, and turned."""
    mode = "L" if image.mode in GREY_MODES else "RGB"
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    image = image.convert(mode)
    turn = TURNS.get(orientation)
    image = image if turn is None else image.transpose(turn)
    return np.array(image).reshape(image.height, image.width, -1)


@contextmanager
def _opened(file: BinaryIO, name: object) -> Iterator[Image.Image]:
    with refuse_damage(name, "an image"):
        try:
            image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError as error:
            raise ValueError(f"it is damaged, or none of {', '.join(FORMATS)}") from error
        with image:
            if not 0 < image.width * image.height <= MAX_PIXELS:
                raise InputError(f"{name} has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read.")
            if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
                kind = "floats" if image.mode == "F" else "signed or 32-bit integers"
                raise InputError(f"{name} has {kind}, whose range is unknown: save it with 8 or 16 bits per channel.")
            yield image


def _orientation(image: Image.Image, file: BinaryIO) -> int:
    """The EXIF orientation by which the loaded image must still be turned; 1 is upright."""
    if image.format == "PNG" and "exif" not in image.info and (late := _late_exif(file)):
        image.info["exif"] = late
    if image.format not in PILLOW_KEEPS_TAG and _tag(image) != 1:
        image.load()  # turns a TIFF, and drops the tag
    return _tag(image)


def _tag(image: Image.Image) -> int:
    try:
        value: Any = Image.Image.getexif(image).get(ORIENTATION, 1)  # that of a PNG would read all pixels
    except Exception:  # damaged EXIF data are passed over, as viewers do
        return 1
    return value if value in TURNS else 1


def _late_exif(file: BinaryIO) -> bytes:
    """The EXIF data that a PNG has after its pixels, where Pillow finds them only once it has read these."""
    place = file.tell()
    file.seek(8)
    found = b""
    while not found and len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        found = b"Exif\0\0" + file.read(length) if kind == b"eXIf" else b""
        file.seek(length + 4, 1)
    file.seek(place)
    return found


def _unpacking(image: Any) -> tuple[Any, ...]:
    """The arguments by which Pillow unpacks the file's values, the raw mode first; known until the image is loaded."""
    arguments = image.tile[0][3] if image.tile else ""
    return arguments if isinstance(arguments, tuple) else (arguments,)


def _rawmode(image: Image.Image) -> str:
    return str(_unpacking(image)[0])


def _is_deep(image: Image.Image) -> bool:
    """Whether an image, not loaded yet, has 16 bits per channel."""
    if image.format == "PPM":
        most = _unpacking(image)[-1]
        return image.mode == "I" or (isinstance(most, int) and most > 255)
    tags: Any = getattr(image, "tag_v2", {})
    if max(tags.get(BITS, (8,))) > 8 and tags.get(PLANES) == 2 and image.mode not in DEEP_GREY_MODES:
        raise ValueError("it has 16 bits per channel in separate planes: save it as a PNG.")
    return image.mode in DEEP_GREY_MODES or (image.format in ("PNG", "TIFF") and ";16" in _rawmode(image))


def _is_grey(image: Image.Image) -> bool:
    """Whether an image of 16 bits per channel is grey, perhaps with alpha."""
    return image.mode in DEEP_GREY_MODES or image.mode == "I" or _rawmode(image).startswith("LA")


def _scaled(image: Image.Image, file: BinaryIO) -> Image.Image:
    """An image of 16 bits per channel, not loaded yet, with 8, (1)."""
    if image.format == "PPM" and image.mode == "RGB":
        return image  # Pillow scales these, by (1) too
    most = 65535
    if _is_grey(image) and not _rawmode(image).startswith("LA"):
        tags: Any = getattr(image, "tag_v2", {})
        most = 2 ** tags[BITS][0] - 1 if BITS in tags else most
        image.load()
        values = np.asarray(image).astype(np.int64)[..., np.newaxis]
        values = most - values if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else values
    else:
        values = _colours(image, file)
    return _eight_bits(values, image.info.get("transparency"), most)


def _eight_bits(values: np.ndarray, clear: Any = None, most: int = 65535) -> Image.Image:
    """Values [H, W, C] from 0 to `most` as an image of 8 bits, (1), transparent where they are `clear`."""
    if clear is not None:
        opaque = (values != np.asarray(clear)).any(2, keepdims=True)
        values = np.concatenate([values, most * opaque], axis=2)
    height, width, channels = values.shape
    mode = ("L", "LA", "RGB", "RGBA")[channels - 1]
    return Image.frombytes(mode, (width, height), np.rint(values * (255 / most)).astype(np.uint8).tobytes())


def _colours(image: Image.Image, file: BinaryIO) -> np.ndarray:
    """The values int64 [H, W, C] of 16-bit colour or grey with alpha, which Pillow would cut to their high bytes."""
    rawmode = _rawmode(image).replace(";16N", ";16L" if sys.byteorder == "little" else ";16B")
    if rawmode.startswith("LA"):
        pairs = _unpacked(image, file, "RGBA").astype(np.int64)
        return 256 * pairs[..., ::2] + pairs[..., 1::2]
    straight = rawmode.replace("RGBa", "RGBA")
    high, low = (_unpacked(image, file, mode).astype(np.int64) for mode in (straight, OTHER_BYTE[straight]))
    values = (256 * high + low)[..., : 3 if rawmode.startswith("RGBX") else None]
    if rawmode.startswith("RGBa"):  # colours that are multiplied by alpha
        values[..., :3] = np.minimum(values[..., :3] * 65535 // np.maximum(values[..., 3:], 1), 65535)
    return values


def _unpacked(image: Image.Image, file: BinaryIO, rawmode: str) -> np.ndarray:
    """The bytes of an image's channels as Pillow unpacks them by another raw mode."""
    file.seek(0)
    with Image.open(file, formats=[image.format or ""]) as again:
        tiles: list[Any] = again.tile  # pyright: ignore[reportAssignmentType]
        for index, tile in enumerate(tiles):
            *place, arguments = tile
            changed = (rawmode, *arguments[1:]) if isinstance(arguments, tuple) else rawmode
            tiles[index] = getattr(type(tile), "_make", tuple)((*place, changed))
        again.load()
        return np.asarray(again)
