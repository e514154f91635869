"""`python -m jaxgen restore`: images that something was done to, completed, cleaned, coloured or sharpened."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxgen.cli.arguments import read_images, require_suffix, writing
from jaxgen.core.image import ImageSpec
from jaxgen.data.folder import read_image
from jaxgen.export import load_restorer
from jaxgen.io.archive import save_archive
from jaxgen.io.errors import InputError
from jaxgen.io.pictures import save_grid, save_image


@dataclass(frozen=True)
class Restore:
    """Restore images of your own with a run from image to image.  (`sample --images` does to whole images first what
    the run was trained to undo.)
    """

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    images: str
    """An image, a folder of images or an .npz: with a part hidden, noisy, grey, or smaller by the factor of the run."""
    mask: Path | None = None
    """An image of the same size: black is hidden and filled in, all else is known.  By default all is known."""
    out: Path = Path("restored.png")
    """A .png (a grid of several images) or an .npz."""


def restore(options: Restore) -> None:
    """Restores images and writes them.

    Raises:
      InputError: an image, the mask or the run cannot be used, or the file cannot be written.
    """
    require_suffix(options.out, ".npz", ".png")
    if not options.run.is_dir():
        raise InputError(f"{options.run} is no run directory.")
    restorer = load_restorer(options.run / "restorer")
    images = _fitted(options, _read(options.images), restorer.spec)
    made = restorer.restore(images, None if options.mask is None else _read_mask(options.mask, restorer.spec))
    with writing(options.out):
        if options.out.suffix == ".npz":
            save_archive(options.out, made)
        elif len(made) == 1:
            save_image(options.out, made[0])
        else:
            save_grid(options.out, made)
    print(f"{len(made):,} images in {options.out}")


def _read(given: str) -> np.ndarray:
    """Images uint8 [N, H, W, C]."""
    path = Path(given).expanduser()
    if path.is_file() and path.suffix != ".npz":
        return read_image(path)[None]
    return read_images(given).arrays["image"]


def _fitted(options: Restore, images: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """The images with the channels of the run, each pixel repeated where they are smaller by a whole factor."""
    height, width, channels = images.shape[1:]
    factor = max(spec.height // height, 1)
    if (factor * height, factor * width) != spec[:2] or channels not in (1, spec.channels):
        given, expected = ("x".join(map(str, shape)) for shape in (images.shape[1:], spec))
        raise InputError(f"--images {options.images} are {given}; {options.run} takes {expected}.")
    images = np.repeat(images, spec.channels // channels, axis=-1)
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def _read_mask(path: Path, spec: ImageSpec) -> np.ndarray:
    """The mask uint8 [H, W, 1]; of a coloured one the brightest channel."""
    mask = read_image(path)
    if mask.shape[:2] != spec[:2]:
        given, expected = ("x".join(map(str, shape)) for shape in (mask.shape[:2], spec[:2]))
        raise InputError(f"--mask {path} is {given}; expected {expected}, the size of the run's images.")
    return mask.max(2, keepdims=True)
