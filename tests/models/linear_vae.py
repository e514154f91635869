"""A variational autoencoder whose likelihood and posterior are known exactly."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from jaxgen import Context, ImageSpec, to_float
from jaxgen.losses import gaussian
from jaxgen.models import VAE

SIDE, LATENTS, VARIANCE = 2, 1, 0.25
IMAGES = jax.random.randint(jax.random.key(5), (6, SIDE, SIDE, 1), 0, 256).astype(jnp.uint8)


class LinearEncoder(nn.Module):
    """The exact posterior of x = w z + b + noise, moved away from it by `error`."""

    error: float = 0.0

    @nn.compact
    def __call__(self, image, *, train):
        w, b = weights()
        error = self.param("error", lambda _: jnp.asarray(self.error))
        precision = 1 + (w**2).sum() / VARIANCE
        mean = ((image.reshape(len(image), -1) - b) @ w / VARIANCE / precision)[:, None]
        return mean + error, jnp.full_like(mean, -jnp.log(precision)) + error


class LinearDecoder(nn.Module):
    @nn.compact
    def __call__(self, latent, *, train):
        w = self.param("w", lambda _: weights()[0])
        return (latent * w + weights()[1]).reshape(-1, SIDE, SIDE, 1)


def weights():
    return jax.random.normal(jax.random.key(0), (2, SIDE * SIDE))


def linear_vae(error=0.0):
    return VAE(LinearEncoder(error), LinearDecoder(), gaussian(VARIANCE), LATENTS)


def exact(images):
    """log p(x) of x ~ N(b, w w' + v I)."""
    w, b = (np.asarray(part, np.float64) for part in weights())
    flat = np.asarray(to_float(images), np.float64).reshape(len(images), -1)
    return stats.multivariate_normal(b, np.outer(w, w) + VARIANCE * np.eye(len(w))).logpdf(flat)


def context(images=IMAGES, seed=1, **fields):
    return Context({"image": images, **fields}, jax.random.key(seed), jnp.int32(0))


def made(model):
    return jax.jit(lambda key: model.init(key, ImageSpec(*IMAGES.shape[1:])))(jax.random.key(0))
