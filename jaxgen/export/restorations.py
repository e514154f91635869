"""Restorations by an exported unconditional denoiser: several plausible ones of each degraded image."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import ImageSpec, to_uint8
from jaxgen.core.map_rows import map_rows, rows_per_device
from jaxgen.core.sampler import image_keys
from jaxgen.core.types import Array
from jaxgen.export.denoiser import ExportedDenoiser, load_denoiser
from jaxgen.export.sampler import BATCH
from jaxgen.export.solving import Solving, solve_from_noise
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath
from jaxgen.models.diffusion.grid import karras_grid
from jaxgen.models.diffusion.guidance import Denoiser, at_time
from jaxgen.models.diffusion.restoration import (
    Observation,
    isotropic,
    nearly_null_space,
    null_space,
    observe,
    posterior,
)
from jaxgen.models.diffusion.schedule import variance_exploding
from jaxgen.models.diffusion.solver import Process, solve
from jaxgen.models.diffusion.stochastic import ancestral
from jaxgen.models.image_to_image.tasks import Task, blurred

DATA_DEVIATION = 0.5
"""The standard deviation of images in [-1, 1], as `karras` supposes it."""

LEAST_DEVIATION = 0.002
"""The last noise that a solver removes."""

ROUNDING = 2 / 255 / math.sqrt(12)
"""The standard deviation of the error of rounding an image in [-1, 1] to 256 levels."""

REST_DEVIATION = 0.05
"""The standard deviation of what `nearly_null_space` corrects in a sharpened image.  A larger one makes noise of the
rounding error: of 16 digits blurred by 2 pixels, 0.5 had a PSNR of 23.8 dB, 0.05 28.1 dB, none of it 27.2 dB."""

SHARPENING = 30
"""Iterations of conjugate gradients for a blurred image, none of which evaluates the network."""


def load_unconditional(folder: AnyPath, spec: ImageSpec | None = None) -> ExportedDenoiser:
    """The denoiser in a folder, which must be unconditional and, with a `spec`, of images of that size.

    Raises:
      InputError: there is none, it is of images of another size, or it needs conditions.
    """
    denoiser = load_denoiser(folder)
    if denoiser.conditions:
        names = ", ".join(denoiser.conditions)
        raise InputError(f"{folder} is conditioned on {names}; images are restored by a run without conditions.")
    if spec and denoiser.spec != spec:
        made, expected = ("x".join(map(str, size)) for size in (denoiser.spec, spec))
        raise InputError(f"{folder} is of images {made}; expected one of images {expected}.")
    return denoiser


def draw_restorations(
    denoiser: ExportedDenoiser,
    task: Task,
    images: np.ndarray,
    known: np.ndarray,
    *,
    deviation: float = 0.0,
    blur: float = 0.0,
    num: int = 1,
    steps: int = 32,
    seed: int = 0,
) -> np.ndarray:
    """`num` restorations, uint8 [N, num, H, W, C], of each of degraded images float32 [N, H, W, C] in [-1, 1].

    Pixels are known where the mask `known`, bool [N, H, W, 1], is true.  A stochastic solver starts from noise; the
    guidance is `posterior` with an isotropic covariance, which restored better than the Jacobian of a trained network,
    and then `null_space`, so that restorations agree exactly with what is known.

    With a `deviation`, that of the noise in the images, the task is to remove it.  A noisy image is then x_t, at the
    time t whose noise has this deviation, and a stochastic solver starts from it, without guidance.

    With a `blur`, the standard deviation in pixels of a Gaussian by which the images are blurred (`blurred`), the task
    is to sharpen them.  What blurring left of an image has been rounded to 256 levels, so the guidance is `posterior`
    with the deviation of that error, then `nearly_null_space`: blurred again, restorations are nearly the image.

    Restoration j of image i depends on the seed, i, j and the image alone.

    Raises:
      InputError: the images do not fit the task.
    """

    def denoise(x: Array, sigma: Array) -> Array:
        return denoiser.call(x, sigma, {})

    def draw(seed: Array, rows: tuple[Array, Array, Array, Array]) -> Array:
        degraded, mask, image, number = rows
        keys = jax.vmap(jax.random.fold_in)(image_keys(seed, image), number)
        if deviation:
            return _from_noisy(denoise, degraded, keys, deviation, steps)
        return solve_from_noise(
            at_time(_guided(denoise, task, degraded, mask, blur)), denoiser.spec, keys, Solving("churn", steps)
        )

    image, number = (grid.ravel() for grid in np.meshgrid(np.arange(len(images)), np.arange(num), indexing="ij"))
    rows, what = (images[image], known[image], image, number), f"Drawing {len(image):,} restorations"
    drawn = map_rows(draw)(jnp.uint32(seed), rows, size=rows_per_device(BATCH), what=what)
    return drawn.reshape(len(images), num, *denoiser.spec)


def _guided(denoiser: Denoiser, task: Task, images: Array, known: Array, blur: float) -> Denoiser:
    """The denoiser of images that agree with degraded ones [B, H, W, C]."""
    if blur:
        observation = Observation(partial(blurred, deviation=blur), images, ROUNDING)
        covariance, ridge = isotropic(DATA_DEVIATION), (ROUNDING / REST_DEVIATION) ** 2
        guided = posterior(variance_exploding(), observation, covariance=covariance, iterations=SHARPENING)(denoiser)
        return nearly_null_space(observation, ridge, SHARPENING)(guided)
    observation = observe(task, images, known)
    # A A^T of these tasks is a multiple of a projection: one iteration solves it.
    covariance = isotropic(DATA_DEVIATION)
    guided = posterior(variance_exploding(), observation, covariance=covariance, iterations=1)(denoiser)
    return null_space(task, observation.degraded, ImageSpec(*images.shape[1:]))(guided)


def _from_noisy(denoiser: Denoiser, images: Array, keys: Array, deviation: float, steps: int) -> Array:
    """Draws x_0 given x_t, uint8 [B, H, W, C]: x_t are noisy images, and sigma_t is the deviation of their noise."""
    schedule = variance_exploding()
    times = karras_grid(steps, least=min(LEAST_DEVIATION, deviation / 10), most=deviation)(schedule)
    return to_uint8(solve(ancestral(), Process(schedule, at_time(denoiser), steps), images, times, keys))
