"""Weights of the denoising loss at each time.

A weight w is that of |x_0 - E[x_0 | x_t]|^2, whatever the network predicts; with SNR = alpha^2 / sigma^2, the error of
the noise is SNR times that of the image.  Kingma and Gao (2023), https://arxiv.org/abs/2303.00848, compare them all.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.checks import require_positive
from jaxgen.core.types import Array
from jaxgen.models.diffusion.schedule import Schedule, signal_to_noise

Weight = Callable[[Schedule, Array], Array]
"""A schedule and times to the weights."""


def flow_matching_weight(least_sigma: float = 0.05) -> Weight:
    """The error of the velocity: 1 / t^2 for the linear schedule.

    It diverges at t = 0 for a network that does not predict the velocity, so sigma is bounded from below as in Li and
    He (2025), https://arxiv.org/abs/2511.13720.
    """

    def weight(schedule: Schedule, t: Array) -> Array:
        (alpha, sigma), (d_alpha, d_sigma) = schedule.coefficients(t), schedule.derivatives(t)
        return jnp.square((d_alpha * sigma - d_sigma * alpha) / jnp.maximum(sigma, least_sigma))

    return weight


def karras_weight(sigma_data: float = 0.5) -> Weight:
    """(sigma^2 + sigma_data^2) / (sigma sigma_data)^2 at alpha = 1: Karras et al. (2022), table 1, "loss weighting".

    Raises:
      ValueError: `sigma_data` is not finite and above 0.
    """
    require_positive("karras_weight", sigma_data=sigma_data)

    def weight(schedule: Schedule, t: Array) -> Array:
        return 1 / sigma_data**2 + signal_to_noise(schedule, t)

    return weight


def min_snr_weight(gamma: float = 5.0) -> Weight:
    """min(SNR, gamma): Hang et al. (2023), https://arxiv.org/abs/2303.09556, section 3.4.

    Raises:
      ValueError: `gamma` is not finite and above 0.
    """
    require_positive("min_snr_weight", gamma=gamma)
    return lambda schedule, t: jnp.minimum(signal_to_noise(schedule, t), gamma)


def sigmoid_weight(bias: float = 0.0) -> Weight:
    """The error of the noise times sigmoid(bias - log SNR): Hoogeboom et al. (2024), https://arxiv.org/abs/2410.19324.

    It is their sigmoid loss without the density of the times.
    """

    def weight(schedule: Schedule, t: Array) -> Array:
        snr = signal_to_noise(schedule, t)
        return snr * jax.nn.sigmoid(bias - jnp.log(snr))

    return weight
