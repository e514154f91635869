"""A folder of image files of one size.  Subfolders are classes, in alphabetical order, if every image is in one."""

from pathlib import Path

import numpy as np
from PIL import Image

from jaxgen.data.dataset import Dataset, make_dataset
from jaxgen.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))
MAX_PIXELS = 4096 * 4096
GREY_MODES = frozenset(("1", "L", "LA", "La"))
DEEP_MODES = frozenset(("I", "F", "I;16", "I;16B", "I;16L", "I;16N"))


def read_folder(folder: Path) -> Dataset:
    """The images of a folder and its subfolders, in the order of their paths.

    Transparent images are put on white.  The result is grey if every image is, else RGB.

    Raises:
      InputError: no images, one that cannot be read, or more than one size.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))}).")
    images = [read_image(path) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            raise InputError(
                f"Images of one size are expected: {paths[0]} is {_size(images[0])} and {path} is {_size(image)} "
                "(height x width)."
            )
    if any(image.shape[2] == 3 for image in images):
        images = [np.broadcast_to(image, (*image.shape[:2], 3)) for image in images]
    return make_dataset(np.stack(images), _labels(folder, paths), source=f"images in {folder}", split="all")


def read_image(path: Path) -> np.ndarray:
    """One image file, uint8 [H, W, C].

    Raises:
      InputError: no readable image of an allowed format, more than 8 bits a channel, or more
        pixels than `MAX_PIXELS`.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{path} has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read.")
            if image.mode in DEEP_MODES:
                raise InputError(f"{path} has more than 8 bits a channel (mode {image.mode}); expected 8.")
            if image.has_transparency_data:
                rgba = image.convert("RGBA")
                flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
                return np.array(flat.convert("L" if image.mode in GREY_MODES else "RGB")).reshape(*rgba.size[::-1], -1)
            pixels = np.array(image.convert("L" if image.mode in GREY_MODES else "RGB"))
            return pixels.reshape(image.height, image.width, -1)
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as an image: {error}") from error


def _labels(folder: Path, paths: list[Path]) -> np.ndarray | None:
    parents = [path.relative_to(folder).parts[0] for path in paths if path.parent != folder]
    if len(parents) < len(paths):
        return None
    return np.unique(parents, return_inverse=True)[1]


def _size(image: np.ndarray) -> str:
    return f"{image.shape[0]} x {image.shape[1]}"
