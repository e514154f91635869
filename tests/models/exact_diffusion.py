"""Diffusion of a Gaussian data set, whose denoiser and probability flow are known exactly."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.models.diffusion import Process, solve

MEAN, DEVIATION = 0.3, 0.5


def exact_denoiser(schedule, mean=MEAN, deviation=DEVIATION):
    """E[x_0 | x_t] of x_0 ~ N(mean, deviation^2), for images at one time [] or at times [B]."""

    def denoise(x, t):
        alpha, sigma = (jnp.reshape(c, (-1, 1, 1, 1)) for c in schedule.coefficients(t))
        gain = alpha * deviation**2 / (alpha**2 * deviation**2 + sigma**2)
        return mean + gain * (x - alpha * mean)

    return denoise


def exact_flow(schedule, x, t, s, mean=MEAN, deviation=DEVIATION):
    """x_s on the probability flow through x_t: both are at the same number of standard deviations from their means."""
    (alpha, sigma), (beta, rho) = schedule.coefficients(t), schedule.coefficients(s)
    growth = jnp.sqrt((beta**2 * deviation**2 + rho**2) / (alpha**2 * deviation**2 + sigma**2))
    return beta * mean + growth * (x - alpha * mean)


def solved(solver, schedule, times, x, denoise=None):
    """The images that a solver gives, from x at the first time."""
    keys = jax.random.split(jax.random.key(7), len(x))
    return solve(solver, Process(schedule, denoise or exact_denoiser(schedule), len(times) - 1), x, times, keys)


class GaussianNetwork(nn.Module):
    """The exact denoiser of the linear schedule as a network that predicts the clean image.

    A condition [B, 1] adds to the mean.
    """

    deviation: float = DEVIATION

    @nn.compact
    def __call__(self, image, condition=None, *, train, noise_level):
        mean = self.param("mean", lambda _: jnp.asarray(MEAN))
        if condition is not None:
            mean += condition[:, :, None, None]
        t = noise_level[:, None, None, None]
        x = image * jnp.sqrt((1 - t) ** 2 + t**2)
        gain = (1 - t) * self.deviation**2 / ((1 - t) ** 2 * self.deviation**2 + t**2)
        return mean + gain * (x - (1 - t) * mean)
