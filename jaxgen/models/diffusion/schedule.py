"""Schedules: how noise is mixed into an image, and at which times networks train.

    (1) x_t = alpha(t) x_0 + sigma(t) eps,    eps ~ N(0, I),    t from 0 (the image) to `end` (nearly pure noise)

The ratio sigma / alpha determines a schedule up to the scale of x_t and the speed of t, as (1) of `solver` shows: a
model of one schedule has the same probability flow as one of another at the same ratio.  Times are float32 of any
shape.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.checks import require_positive
from jaxgen.core.types import Array

LEAST = 1e-4
"""Uniform times start here: at smaller ones float32 rounds the noise away."""

Times = Callable[[Array], Array]
"""The distribution of training times, as its quantile function: from probabilities in (0, 1) to times."""


class Schedule(NamedTuple):
    """The schedule (1): `coefficients` are t -> (alpha, sigma).

    `time` is the inverse of sigma / alpha: it takes a ratio in [0, inf] to its t.
    """

    coefficients: Callable[[Array], tuple[Array, Array]]
    time: Callable[[Array], Array]
    times: Times
    end: float = 1.0

    def ratio(self, t: Array) -> Array:
        """The ratio sigma / alpha, which is infinite at pure noise."""
        alpha, sigma = self.coefficients(t)
        return sigma / alpha

    def derivatives(self, t: Array) -> tuple[Array, Array]:
        """The derivatives of alpha and of sigma by t."""
        return jax.jvp(self.coefficients, (t,), (jnp.ones_like(t),))[1]


def uniform_times(end: float = 1.0) -> Times:
    """Times from 0 to `end`, all equally likely."""
    return lambda probability: LEAST + (end - LEAST) * probability


def logit_normal_times(mean: float = 0.0, std: float = 1.0) -> Times:
    """Times whose logits are normal: Esser et al. (2024), https://arxiv.org/abs/2403.03206, section 3.1.

    Raises:
      ValueError: `std` is not finite and above 0.
    """
    require_positive("logit_normal_times", std=std)
    return lambda probability: jax.nn.sigmoid(mean + std * jax.scipy.stats.norm.ppf(probability))


def log_normal_times(mean: float = -1.2, std: float = 1.2) -> Times:
    """Times whose logarithms are normal: Karras et al. (2022), https://arxiv.org/abs/2206.00364, table 1.

    Raises:
      ValueError: `std` is not finite and above 0.
    """
    require_positive("log_normal_times", std=std)
    return lambda probability: jnp.exp(mean + std * jax.scipy.stats.norm.ppf(probability))


def log_uniform_times(least: float, most: float) -> Times:
    """Times from `least` to `most` whose logarithms are uniform.

    Then log SNR is uniform for `variance_exploding`, and the loss with the weight `signal_to_noise` is proportional to
    the diffusion term of the variational bound between these times, (3) of `variational_bound`.
    """
    return lambda probability: least * (most / least) ** probability


def linear(times: Times | None = None) -> Schedule:
    """Alpha = 1 - t, sigma = t: straight paths from images to noise.

    Those of rectified flow, and of flow matching: Lipman et al. (2023), https://arxiv.org/abs/2210.02747, equation
    (20) with sigma_min = 0.  In these papers time runs from noise to images, from 0 to 1.
    """
    return Schedule(lambda t: (1 - t, t), lambda ratio: 1 - 1 / (1 + ratio), times or uniform_times())


def cosine(times: Times | None = None) -> Schedule:
    """Alpha = cos(pi t / 2), sigma = sin(pi t / 2): the variance of x_t is that of unit-variance images at every t.

    Salimans and Ho (2022), https://arxiv.org/abs/2202.00512, section 4.
    """

    def coefficients(t: Array) -> tuple[Array, Array]:
        # The cosine as a sine, which is exactly 0 at t = 1.
        return jnp.sin(math.pi / 2 * (1 - t)), jnp.sin(math.pi / 2 * t)

    return Schedule(coefficients, lambda ratio: 2 / math.pi * jnp.arctan(ratio), times or uniform_times())


def variance_exploding(end: float = 80.0, times: Times | None = None) -> Schedule:
    """Alpha = 1, sigma = t: Karras et al. (2022), section 3.  At `end` the image is taken to be lost in the noise."""
    return Schedule(lambda t: (jnp.ones_like(t), t), lambda ratio: ratio, times or log_normal_times(), end)


def signal_to_noise(schedule: Schedule, t: Array) -> Array:
    """The signal-to-noise ratio alpha^2 / sigma^2."""
    alpha, sigma = schedule.coefficients(t)
    return jnp.square(alpha / sigma)
