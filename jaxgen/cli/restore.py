"""`python -m jaxgen restore`: degraded images inpainted, denoised, colourised or super-resolved by a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxgen.cli.arguments import read_images, require_run, require_suffix, writing
from jaxgen.core.image import ImageSpec
from jaxgen.data.image_file import read_image
from jaxgen.data.masks import read_mask
from jaxgen.data.paths import is_data
from jaxgen.export import load_restorer
from jaxgen.io.archive import save_archive
from jaxgen.io.errors import InputError
from jaxgen.io.files import expanded
from jaxgen.io.pictures import save_grid, save_image
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say

MASK = "black is filled in and white is known"


@dataclass(frozen=True)
class Restore:
    """Restore degraded images with an image-to-image run.  (`sample --images` takes clean images and degrades them
    first.)
    """

    run: Annotated[UserPath, tyro.conf.Positional]
    """Run directory."""
    images: str
    """An image, a folder of images or an archive: masked, noisy, grey, or downsampled by the run's factor."""
    mask: UserPath | None = None
    """A black and white image of the same size, for inpainting: black is filled in, white is known; by default all is
    known."""
    out: UserPath = Path("restored.png")
    """A .png (a grid of several images) or an .npz."""


def restore(options: Restore) -> None:
    """Restores images and writes them.

    Raises:
      InputError: an image, the mask or the run cannot be used, or the file cannot be written.
    """
    require_suffix(options.out, ".npz", ".png")
    require_run(options.run)
    restorer = load_restorer(options.run / "restorer")
    images = _fitted(options, _read(options.images), restorer.spec)
    size = restorer.spec[:2]
    mask = options.mask and read_mask(options.mask, size, of="the run's images", meaning=MASK)
    restored = restorer.restore(images, mask)
    with writing(options.out):
        if options.out.suffix == ".npz":
            save_archive(options.out, restored)
        elif len(restored) == 1:
            save_image(options.out, restored[0])
        else:
            save_grid(options.out, restored)
    say(f"{len(restored):,} images in {options.out}")


def _read(name: str) -> np.ndarray:
    """The images uint8 [N, H, W, C] of a picture, a folder or an archive."""
    path = expanded(name)
    if path.is_file() and not is_data(path):
        return read_image(path)[None]
    return read_images(name).arrays["image"]


def _fitted(options: Restore, images: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """The images with the run's channels; images that are smaller by an integer factor have each pixel repeated."""
    height, width, channels = images.shape[1:]
    factor = max(spec.height // height, 1)
    if (factor * height, factor * width) != spec[:2] or channels not in (1, spec.channels):
        size, expected = ("x".join(map(str, shape)) for shape in (images.shape[1:], spec))
        raise InputError(f"--images {options.images} are {size}; {options.run} takes {expected}.")
    images = np.repeat(images, spec.channels // channels, axis=-1)
    return images.repeat(factor, axis=1).repeat(factor, axis=2)
