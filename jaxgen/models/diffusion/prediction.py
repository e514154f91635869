"""Predictions: what a network's output F means.

    (1) E[x_0 | x_t] = c_skip x_t + c_out F(c_in x_t; c_noise)      Karras et al. (2022), equation (7)
    (2) target of F:   (x_0 - c_skip x_t) / c_out                   ibid., equation (8)

https://arxiv.org/abs/2206.00364.  Everything but training reads (1) alone, so that samplers and guidance are the same
for all predictions.  `velocity`, `noise` and `clean` scale x_t to about unit variance, and their c_noise is
sigma / (alpha + sigma), which for the linear schedule is t.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from jaxgen.core.checks import require_positive
from jaxgen.core.types import Array
from jaxgen.models.diffusion.schedule import Schedule

LEAST_ALPHA, LEAST_RATIO, MOST_RATIO = 1e-2, 1e-4, 1e4


class Scaling(NamedTuple):
    """The coefficients of (1) at times [B], each [B]."""

    c_in: Array
    c_skip: Array
    c_out: Array
    c_noise: Array


Prediction = Callable[[Schedule, Array], Scaling]
"""A schedule and times to the coefficients."""


def expected_image(scaling: Scaling, x: Array, output: Array) -> Array:
    """(1), [B, H, W, C], of noised images x_t and a network's outputs F."""
    return per_image(scaling.c_skip) * x + per_image(scaling.c_out) * output


def target(scaling: Scaling, image: Array, x: Array) -> Array:
    """(2), [B, H, W, C], of images x_0 and noised ones x_t."""
    return (image - per_image(scaling.c_skip) * x) / per_image(scaling.c_out)


def per_image(values: Array) -> Array:
    """Values [B] as [B, 1, 1, 1], which multiply images."""
    return values[:, None, None, None]


def velocity(schedule: Schedule, t: Array) -> Scaling:
    """F = dx_t / dt = alpha' x_0 + sigma' eps: of the linear schedule eps - x_0.

    Flow matching, Lipman et al. (2023), https://arxiv.org/abs/2210.02747, equation (23); rectified flow, Liu et al.
    (2022), https://arxiv.org/abs/2209.03003, equation (1).  There time runs from noise to images: the signs differ.
    """
    (alpha, sigma), (d_alpha, d_sigma) = schedule.coefficients(t), schedule.derivatives(t)
    determinant = d_alpha * sigma - d_sigma * alpha
    return _scaling(alpha, sigma, c_skip=-d_sigma / determinant, c_out=sigma / determinant)


def noise(schedule: Schedule, t: Array) -> Scaling:
    """F = eps: Ho et al. (2020), https://arxiv.org/abs/2006.11239, equation (14).

    Pure noise does not say what eps adds to an image: where alpha is below 0.01, F is (x_t - 0.01 x_0) / sigma.
    """
    alpha, sigma = schedule.coefficients(t)
    kept = jnp.maximum(alpha, LEAST_ALPHA)
    return _scaling(alpha, sigma, c_skip=1 / kept, c_out=-sigma / kept)


def clean(schedule: Schedule, t: Array) -> Scaling:
    """F = x_0: Salimans and Ho (2022), https://arxiv.org/abs/2202.00512, section 4.

    For large patches it needs the least capacity, since images lie on a manifold and noise does not: Li and He (2025),
    https://arxiv.org/abs/2511.13720.
    """
    alpha, sigma = schedule.coefficients(t)
    return _scaling(alpha, sigma, c_skip=jnp.zeros_like(t), c_out=jnp.ones_like(t))


def karras(sigma_data: float = 0.5) -> Prediction:
    """EDM's preconditioning for images with a standard deviation of `sigma_data`: Karras et al. (2022), table 1.

    The paper's coefficients are those of alpha = 1; these are the same network at x_t / alpha and sigma / alpha.

    Raises:
      ValueError: `sigma_data` is not finite and above 0.
    """
    require_positive("karras", sigma_data=sigma_data)

    def prediction(schedule: Schedule, t: Array) -> Scaling:
        alpha, sigma = schedule.coefficients(t)
        variance = jnp.square(alpha * sigma_data) + jnp.square(sigma)
        c_in = 1 / jnp.sqrt(variance)
        c_noise = jnp.log(jnp.clip(sigma / alpha, LEAST_RATIO, MOST_RATIO)) / 4
        return Scaling(c_in, alpha * sigma_data**2 / variance, sigma * sigma_data * c_in, c_noise)

    return prediction


def karras_by_time(sigma_data: float = 0.5) -> Prediction:
    """EDM's preconditioning with sigma / (alpha + sigma) as the noise level, whose derivative is bounded.

    That of EDM's own is not, where the noise or the image vanishes.
    """
    prediction = karras(sigma_data)

    def by_time(schedule: Schedule, t: Array) -> Scaling:
        alpha, sigma = schedule.coefficients(t)
        return prediction(schedule, t)._replace(c_noise=sigma / (alpha + sigma))

    return by_time


def with_boundary(prediction: Prediction, ratio: float = 0.1) -> Prediction:
    """A prediction whose E[x_0 | x_t] tends to x_t as noise vanishes, whatever the network; that of `clean` need not.

    With r = sigma / alpha it is (r^2 E + `ratio`^2 x_t / alpha) / (r^2 + `ratio`^2), where E is that of the prediction.
    A consistency model needs this boundary condition, since a constant is consistent too.  Song et al. (2023),
    https://arxiv.org/abs/2303.01469, equation (5).  `denoising_loss` then needs a weight: the noise in the target (2)
    grows as 1 / r.

    Raises:
      ValueError: the ratio is not above 0.
    """
    require_positive("with_boundary", ratio=ratio)

    def bounded(schedule: Schedule, t: Array) -> Scaling:
        scaling, (alpha, sigma) = prediction(schedule, t), schedule.coefficients(t)
        total = jnp.square(sigma) + jnp.square(ratio * alpha)
        share = jnp.square(sigma) / total
        # That of x_t / alpha is (ratio alpha)^2 / total; with alpha cancelled it is finite at pure noise.
        c_skip = share * scaling.c_skip + ratio**2 * alpha / total
        return scaling._replace(c_skip=c_skip, c_out=share * scaling.c_out)

    return bounded


def _scaling(alpha: Array, sigma: Array, *, c_skip: Array, c_out: Array) -> Scaling:
    return Scaling(1 / jnp.sqrt(jnp.square(alpha) + jnp.square(sigma)), c_skip, c_out, sigma / (alpha + sigma))
