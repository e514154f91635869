"""The EXIF orientation of an image, by which viewers turn it."""

import struct
from typing import Any, BinaryIO

from PIL import Image

KEEPS_TAG = frozenset(("JPEG", "MPO", "PNG", "WEBP"))
"""Formats that Pillow does not turn by the orientation in their header."""
ORIENTATION = 274
"""The tag of EXIF and TIFF."""
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


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """An upright image."""
    turn = TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def swaps_sides(orientation: int) -> bool:
    """Whether an upright image is as high as the stored one is wide."""
    return orientation >= 5


def orientation_of(image: Image.Image, file: BinaryIO) -> int:
    """The EXIF orientation by which the loaded image must still be turned; 1 is upright."""
    if image.format == "PNG" and "exif" not in image.info and (late := _late_exif(file)):
        image.info["exif"] = late
    if image.format not in KEEPS_TAG and orientation_tag(image) != 1:
        image.load()  # turns a TIFF, and drops the tag
    return orientation_tag(image)


def orientation_tag(image: Image.Image) -> int:
    """The EXIF orientation in an image's header; 1, upright, where there is none that is valid."""
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
