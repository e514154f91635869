"""Diffusion models of data sets whose denoisers are known exactly: independent pixels, Gaussians, mixtures, images."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen import ImageSpec
from jaxgen.models.diffusion import Diffusion, Prediction, Process, clean, linear, solve

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
    """The exact denoiser of the linear schedule as a network of a prediction whose noise level is the time.

    A condition [B, 1] adds to the mean.
    """

    deviation: float = DEVIATION
    prediction: Prediction = clean

    @nn.compact
    def __call__(self, image, condition=None, *, train, noise_level):
        mean = self.param("mean", lambda _: jnp.asarray(MEAN))
        if condition is not None:
            mean += condition[:, :, None, None]
        t = noise_level[:, None, None, None]
        scaling = self.prediction(linear(), t)
        x = image / scaling.c_in
        gain = (1 - t) * self.deviation**2 / ((1 - t) ** 2 * self.deviation**2 + t**2)
        return (mean + gain * (x - (1 - t) * mean) - scaling.c_skip * x) / scaling.c_out


def gaussian_denoiser(schedule, mean, covariance):
    """The denoiser of images with a mean [H, W, C] and a covariance [H W C, H W C]."""
    eigenvalues, vectors = jnp.linalg.eigh(covariance)

    def denoise(x, t):
        alpha, sigma = (values[:, None] for values in schedule.coefficients(t))
        share = alpha * eigenvalues / (alpha**2 * eigenvalues + sigma**2)
        rest = x.reshape(x.shape[0], -1) - alpha * mean.reshape(-1)
        return mean + ((share * (rest @ vectors)) @ vectors.T).reshape(x.shape)

    return denoise


def mixture_denoiser(schedule, means, probabilities, deviation=0.0):
    """The denoiser of a mixture of normal distributions with means [K, H, W, C], probabilities [K] and one deviation.

    Without a deviation the images are the means.
    """

    def denoise(x, t):
        alpha, sigma = (values[:, None] for values in schedule.coefficients(t))
        rest = x.reshape(x.shape[0], 1, -1) - alpha[..., None] * means.reshape(len(means), -1)
        variance = (alpha * deviation) ** 2 + sigma**2
        posterior = jax.nn.softmax(jnp.log(probabilities) - (rest**2).sum(-1) / (2 * variance))
        mean, gain = jnp.tensordot(posterior, means, 1), (alpha * deviation**2 / variance)[..., None, None]
        return mean + gain * (x - alpha[..., None, None] * mean)

    return denoise


def random_covariance(key, size, least=0.1):
    """A covariance [size, size] that is far from diagonal."""
    factors = jax.random.normal(key, (size, size)) / jnp.sqrt(size)
    return factors @ factors.T + least * jnp.eye(size)


class Exact(Diffusion):
    """A model with a denoiser that needs no network: `network` is it."""

    def denoiser(self, networks):
        return self.network


def exact_model(denoiser, spec, schedule, **options):
    return Exact(denoiser, ImageSpec(*spec), schedule, **options)
