"""Several plausible restorations of degraded images, drawn by a run whose denoiser knows images alone."""

import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import ImageSpec, to_float, to_uint8
from jaxgen.core.sampler import image_keys
from jaxgen.core.types import Array
from jaxgen.export.denoiser import ExportedDenoiser
from jaxgen.export.sampler import BATCH
from jaxgen.io.errors import InputError
from jaxgen.io.terminal import progress
from jaxgen.models.diffusion.grid import karras_grid
from jaxgen.models.diffusion.guidance import Denoiser
from jaxgen.models.diffusion.restoration import null_space, observe, posterior
from jaxgen.models.diffusion.schedule import variance_exploding
from jaxgen.models.diffusion.solver import Process, heun, solve
from jaxgen.models.diffusion.stochastic import draw_noise
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
    schedule, times = variance_exploding(), karras_grid(steps)(variance_exploding())
    image, number = (grid.ravel() for grid in np.meshgrid(np.arange(len(images)), np.arange(num), indexing="ij"))

    def denoise(x: Array, sigma: Array) -> Array:
        return denoiser.call(x, sigma, {})

    @jax.jit
    def draw(degraded: Array, image: Array, number: Array) -> Array:
        keys = jax.vmap(lambda key, number: jax.random.split(jax.random.fold_in(key, number)))(
            image_keys(jnp.uint32(seed), image), number
        )
        guided = _guided(denoise, degradation, to_float(degraded), known)
        process = Process(schedule, lambda x, t: guided(x, jnp.broadcast_to(t, x.shape[:1])), steps)
        noise = times[0] * draw_noise(keys[:, 0], to_float(degraded))
        return to_uint8(solve(heun, process, noise, times, keys[:, 1]))

    size = min(BATCH, len(image))

    def draw_part(start: int) -> np.ndarray:
        rows = np.minimum(start + np.arange(size), len(image) - 1)
        return np.asarray(draw(images[image[rows]], image[rows], number[rows]))[: len(image) - start]

    drawn = progress(draw_part, range(0, len(image), size), f"Drawing {len(image):,} restorations")
    return np.concatenate(drawn).reshape(len(images), num, *denoiser.spec)


def _guided(denoiser: Denoiser, degradation: Degradation, images: Array, known: np.ndarray) -> Denoiser:
    """The denoiser of what degraded images [B, H, W, C] could be of."""
    task, _, deviation = degradation
    mask = jnp.broadcast_to(jnp.asarray(known) > 0, (*images.shape[:3], 1))
    observation = observe(task, images, mask, deviation=deviation)
    guided = posterior(variance_exploding(), observation)(denoiser)
    if deviation:
        return guided
    return null_space(task, observation.degraded, ImageSpec(*images.shape[1:]))(guided)
