"""Denoisers that are known exactly, and models of them."""

import jax
import jax.numpy as jnp

from jaxgen import ImageSpec
from jaxgen.models.diffusion import Diffusion


def gaussian_denoiser(schedule, mean, covariance):
    """The denoiser of images with a mean [H, W, C] and a covariance [H W C, H W C]."""
    eigenvalues, vectors = jnp.linalg.eigh(covariance)

    def denoise(x, t):
        alpha, sigma = (values[:, None] for values in schedule.coefficients(t))
        share = alpha * eigenvalues / (alpha**2 * eigenvalues + sigma**2)
        rest = x.reshape(x.shape[0], -1) - alpha * mean.reshape(-1)
        return mean + ((share * (rest @ vectors)) @ vectors.T).reshape(x.shape)

    return denoise


def discrete_denoiser(schedule, images, probabilities):
    """The denoiser of images that are one of images [K, H, W, C] with probabilities [K]."""

    def denoise(x, t):
        alpha, sigma = (values[:, None] for values in schedule.coefficients(t))
        rest = x.reshape(x.shape[0], 1, -1) - alpha[..., None] * images.reshape(len(images), -1)
        posterior = jax.nn.softmax(jnp.log(probabilities) - (rest**2).sum(-1) / (2 * sigma**2))
        return jnp.tensordot(posterior, images, 1)

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
