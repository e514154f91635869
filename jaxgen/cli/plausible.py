"""Several plausible restorations of degraded images, drawn by a run whose denoiser knows images alone."""

import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.cli.solving import Solving, solve_from_noise
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.map_rows import map_rows, rows_per_device
from jaxgen.core.sampler import image_keys
from jaxgen.core.types import Array
from jaxgen.export.denoiser import ExportedDenoiser
from jaxgen.export.sampler import BATCH
from jaxgen.io.errors import InputError
from jaxgen.models.diffusion.guidance import Denoiser, at_time
from jaxgen.models.diffusion.restoration import null_space, observe, posterior
from jaxgen.models.diffusion.schedule import variance_exploding
from jaxgen.models.image_to_image.tasks import Task, colourise, inpaint, random_block, super_resolve
from jaxgen.models.image_to_image.tasks import denoise as noisy

EXPECTED = "inpaint, colourise, super_resolve_x2 (or another factor), or denoise_0.5 (or another deviation)"
GREY = colourise()


class Degradation(NamedTuple):
    """A task, the factor by which its images are smaller, and the deviation of the noise in them."""

    task: Task
    factor: int = 1
    deviation: float = 0.0


def read_task(name: str) -> Degradation:
    """The task of a name on the command line.

    Raises:
      InputError: there is no such task.
    """
    if name == "inpaint":
        return Degradation(inpaint(random_block()))
    if name == "colourise":
        return Degradation(GREY)
    if found := re.fullmatch(r"super_resolve_x([2-9]|[1-9]\d)", name):
        return Degradation(super_resolve(factor := int(found[1])), factor)
    if (found := re.fullmatch(r"denoise_(\d+(?:\.\d+)?)", name)) and float(found[1]) > 0:
        return Degradation(noisy(deviation := float(found[1])), deviation=deviation)
    raise InputError(f"--task {name}: expected {EXPECTED}.")


def draw_restorations(
    denoiser: ExportedDenoiser,
    degradation: Degradation,
    images: np.ndarray,
    known: np.ndarray,
    *,
    num: int,
    steps: int,
    seed: int,
) -> np.ndarray:
    """`num` restorations, uint8 [N, num, H, W, C], of each of degraded images uint8 [N, H, W, C].

    Pixels are known where a mask uint8 [H, W, 1] is not 0.  The restorations are drawn by `posterior`; in noiseless
    tasks `null_space` makes them agree exactly with what is known.  Restoration j of image i depends on the seed, i, j
    and the image alone.

    Raises:
      InputError: the run needs conditions, or the images do not fit the task.
    """
    if denoiser.conditions:
        names = ", ".join(denoiser.conditions)
        raise InputError(f"This run is conditioned on {names}; images are restored by a run without conditions.")
    if degradation.task is GREY and denoiser.spec.channels == 1:
        raise InputError("--task colourise: this run has images of one channel; expected three.")

    def draw(seed: Array, rows: tuple[Array, Array, Array]) -> Array:
        degraded, image, number = rows
        keys = jax.vmap(jax.random.fold_in)(image_keys(seed, image), number)
        guided = _guided(lambda x, sigma: denoiser.call(x, sigma, {}), degradation, to_float(degraded), known)
        return solve_from_noise(at_time(guided), denoiser.spec, keys, Solving("heun", steps))

    image, number = (grid.ravel() for grid in np.meshgrid(np.arange(len(images)), np.arange(num), indexing="ij"))
    rows, what = (images[image], image, number), f"Drawing {len(image):,} restorations"
    drawn = map_rows(draw)(jnp.uint32(seed), rows, size=rows_per_device(BATCH), what=what)
    return drawn.reshape(len(images), num, *denoiser.spec)


def _guided(denoiser: Denoiser, degradation: Degradation, images: Array, known: np.ndarray) -> Denoiser:
    """The denoiser of what degraded images [B, H, W, C] could be of."""
    task, _, deviation = degradation
    mask = jnp.broadcast_to(jnp.asarray(known) > 0, (*images.shape[:3], 1))
    observation = observe(task, images, mask, deviation=deviation)
    guided = posterior(variance_exploding(), observation)(denoiser)
    if deviation:
        return guided
    return null_space(task, observation.degraded, ImageSpec(*images.shape[1:]))(guided)
