"""Channels of 16 bits, which Pillow would cut to their high bytes: grey, colour and alpha alike are scaled to 8 by

(1)  round(255 v / 65535)
"""

import sys
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

DEEP_GREY_MODES = frozenset(("I;16", "I;16B", "I;16L", "I;16N"))
BITS, PHOTOMETRIC, PLANES = 258, 262, 284
"""Tags of TIFF."""
WHITE_IS_ZERO = 0
OTHER_BYTE = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "RGBX;16B": "RGBX;16L"}
OTHER_BYTE |= {low: high for high, low in OTHER_BYTE.items()}
"""Pillow reads the high byte of 16-bit colour by its raw mode, and the low byte by that of the other byte order."""


def is_deep(image: Image.Image) -> bool:
    """Whether an image, not loaded yet, has 16 bits per channel."""
    if image.format == "PPM":
        most = _unpacking(image)[-1]
        return image.mode == "I" or (isinstance(most, int) and most > 255)
    tags: Any = getattr(image, "tag_v2", {})
    if max(tags.get(BITS, (8,))) > 8 and tags.get(PLANES) == 2 and image.mode not in DEEP_GREY_MODES:
        raise ValueError("it has 16 bits per channel in separate planes: save it as a PNG.")
    return image.mode in DEEP_GREY_MODES or (image.format in ("PNG", "TIFF") and ";16" in _rawmode(image))


def is_grey(image: Image.Image) -> bool:
    """Whether an image of 16 bits per channel is grey, perhaps with alpha."""
    return image.mode in DEEP_GREY_MODES or image.mode == "I" or _rawmode(image).startswith("LA")


def scaled(image: Image.Image, file: BinaryIO) -> Image.Image:
    """An image of 16 bits per channel, not loaded yet, with 8, (1)."""
    if image.format == "PPM" and image.mode == "RGB":
        return image  # Pillow scales these, by (1) too
    most = 65535
    if is_grey(image) and not _rawmode(image).startswith("LA"):
        tags: Any = getattr(image, "tag_v2", {})
        most = 2 ** tags[BITS][0] - 1 if BITS in tags else most
        image.load()
        values = np.asarray(image).astype(np.int64)[..., np.newaxis]
        values = most - values if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else values
    else:
        values = _colours(image, file)
    return eight_bits(values, image.info.get("transparency"), most)


def eight_bits(values: np.ndarray, clear: Any = None, most: int = 65535) -> Image.Image:
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


def _unpacking(image: Any) -> tuple[Any, ...]:
    """The arguments by which Pillow unpacks the file's values, the raw mode first; known until the image is loaded."""
    arguments = image.tile[0][3] if image.tile else ""
    return arguments if isinstance(arguments, tuple) else (arguments,)


def _rawmode(image: Image.Image) -> str:
    return str(_unpacking(image)[0])
