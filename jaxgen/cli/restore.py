"""`python -m jaxgen restore`: degraded images inpainted, denoised, colourised or super-resolved by a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax.numpy as jnp
import numpy as np
import tyro

from jaxgen.cli.arguments import read_images, require_run, require_suffix, writing
from jaxgen.cli.task_names import read_task
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.data.image_file import read_image, with_channels
from jaxgen.data.masks import read_mask
from jaxgen.data.paths import is_data
from jaxgen.export import load_restorer
from jaxgen.export.restorations import draw_restorations, load_unconditional
from jaxgen.io.archive import save_archive
from jaxgen.io.errors import InputError
from jaxgen.io.files import expanded
from jaxgen.io.pictures import save_grid, save_image
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.training.config import Bounds, require_bounds

MASK = "black is filled in and white is known"


@dataclass(frozen=True)
class Restore:
    """Restore degraded images with an image-to-image run, or with a diffusion run and --task, which draws several
    restorations of each.  (`sample --images` takes clean images, and an image-to-image run degrades them first.)
    """

    run: Annotated[UserPath, tyro.conf.Positional]
    """Run directory."""
    images: str
    """An image, a folder of images or an archive: masked, noisy, grey, or downsampled by the run's factor."""
    mask: UserPath | None = None
    """A black and white image of the same size, for inpainting: black is filled in, white is known; by default all is
    known."""
    task: str = ""
    """For a diffusion run, what was done to the images: inpaint, colourise, super_resolve_x2 (or another factor),
    deblur_1.5 (blurred by a Gaussian with this or another standard deviation in pixels, from 0.3 to 100), or
    denoise_0.5 (or another standard deviation from 0.001 to 80; black to white is 2)."""
    num: Annotated[int, Bounds(least=1, most=10_000)] = 1
    """How many plausible restorations of each image, with --task."""
    steps: Annotated[int, Bounds(least=2, most=10_000)] = 32
    """Steps of the solver, with --task: more are slower and nearer to the model's distribution."""
    seed: Annotated[int, Bounds(least=0, most=2**32 - 1)] = 0
    """Other seeds draw other restorations, with --task."""
    out: UserPath = Path("restored.png")
    """A .png (a grid of several images, with --task a row for each: the degraded one, then its restorations) or an
    .npz."""


def restore(options: Restore) -> None:
    """Restores images and writes them.

    Raises:
      InputError: an image, the mask or the run cannot be used, or the file cannot be written.
    """
    require_bounds(options)
    require_suffix(options.out, ".npz", ".png")
    require_run(options.run)
    if options.task:
        _draw(options)
        return
    if drawing := [name for name in ("num", "steps", "seed") if getattr(options, name) != getattr(Restore, name)]:
        raise InputError(f"--{drawing[0]} belongs to --task: an image-to-image run restores an image in one way.")
    if (options.run / "denoiser").is_dir():
        raise InputError(f"{options.run} is a diffusion run: say what was done to the images by --task.")
    restorer = load_restorer(options.run / "restorer")
    images = _fitted(options, _read(options.images), restorer.spec)
    restored = restorer.restore(images, _mask(options, restorer.spec))
    with writing(options.out):
        if options.out.suffix == ".npz":
            save_archive(options.out, restored)
        elif len(restored) == 1:
            save_image(options.out, restored[0])
        else:
            save_grid(options.out, restored)
    say(f"{len(restored):,} images in {options.out}")


def _draw(options: Restore) -> None:
    """Draws several restorations of each image and writes them."""
    if not (options.run / "denoiser").is_dir():
        reason = "is no diffusion run, or exports no denoiser: a flow of latent maps restores no images."
        raise InputError(f"--task {options.task}: {options.run} {reason}")
    denoiser = load_unconditional(options.run / "denoiser")
    degradation = read_task(options.task, denoiser.spec.channels)
    images = _fitted(options, _read(options.images), denoiser.spec, factor=degradation.factor)
    mask = _mask(options, denoiser.spec)
    if mask is None and options.task == "inpaint":
        raise InputError("--task inpaint: --mask says which pixels are known.")
    if mask is not None and options.task != "inpaint":
        raise InputError(f"--mask {options.mask}: --task {options.task} takes no mask.")
    known = np.full((*denoiser.spec[:2], 1), 255, np.uint8) if mask is None else mask
    drawn = draw_restorations(
        denoiser,
        degradation.task,
        np.asarray(to_float(jnp.asarray(images))),
        np.broadcast_to(known > 0, (*images.shape[:3], 1)),
        deviation=degradation.deviation,
        blur=degradation.blur,
        num=options.num,
        steps=options.steps,
        seed=options.seed,
    )
    with writing(options.out):
        if options.out.suffix == ".npz":
            save_archive(options.out, drawn.reshape(-1, *denoiser.spec))
        else:
            rows = np.concatenate([np.where(known > 0, images, 0)[:, None], drawn], axis=1)
            save_grid(options.out, rows.reshape(-1, *denoiser.spec), columns=1 + options.num)
    say(f"{options.num:,} restorations of each of {len(images):,} images in {options.out}")


def _mask(options: Restore, spec: ImageSpec) -> np.ndarray | None:
    """The mask uint8 [H, W, 1], if there is one."""
    return options.mask and read_mask(options.mask, spec[:2], of="the run's images", meaning=MASK)


def _read(name: str) -> np.ndarray:
    """The images uint8 [N, H, W, C] of a picture, a folder or an archive."""
    path = expanded(name)
    if path.is_file() and not is_data(path):
        return read_image(path)[None]
    return read_images(name).arrays["image"]


def _fitted(options: Restore, images: np.ndarray, spec: ImageSpec, factor: int | None = None) -> np.ndarray:
    """The images with the run's channels; images that are smaller by an integer factor have each pixel repeated.

    The factor is any without a task, and 1 or the task's with one.
    """
    height, width, channels = images.shape[1:]
    smaller = max(spec.height // height, 1)
    is_right = factor is None or smaller in (1, factor)
    if (smaller * height, smaller * width) != spec[:2] or channels not in (1, spec.channels) or not is_right:
        size, expected = ("x".join(map(str, shape)) for shape in (images.shape[1:], spec))
        whose = f"{options.run} takes {expected}" + (f", or {factor} times smaller" if (factor or 1) > 1 else "")
        raise InputError(f"--images {options.images} are {size}; {whose}.")
    return with_channels(images, spec.channels).repeat(smaller, axis=1).repeat(smaller, axis=2)
