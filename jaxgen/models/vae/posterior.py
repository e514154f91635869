"""Posteriors q(z | x) of latents, which an encoder parametrises.

(1) diagonal Gaussian    q(z | x) = N(z; m(x), diag exp s(x)),    z = m + exp(s / 2) e,    e standard normal

with the encoder's outputs m and s [B, Z]: s is the logarithm of the variance.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from jaxgen.core.types import Array, PyTree
from jaxgen.losses import gaussian_kl, gaussian_log_densities, gaussian_log_density

Params = PyTree
"""An encoder's outputs, each array [B, ...]."""


class Posterior(NamedTuple):
    """A distribution of latents with parameters from an encoder, and samples that are differentiable in them."""

    sample: Callable[[Params, Array], Array]
    """Parameters and standard normal noise [..., B, Z] to latents [..., B, Z]."""
    mean: Callable[[Params], Array]
    """Parameters to mean latents [B, Z]."""
    log_prob: Callable[[Params, Array], Array]
    """Parameters and latents [..., B, Z] to log q by dimension, [..., B, Z], in nats."""
    log_densities: Callable[[Params, Array], Array]
    """Parameters of K posteriors and latents [..., Z] to the log density of a latent under each, [..., K], in nats."""
    kl: Callable[[Params], Array]
    """Parameters to the divergence from the standard normal by dimension, [B, Z], in nats."""


def diagonal_gaussian() -> Posterior:
    """The posterior (1); its parameters are the mean and the log variance [B, Z]."""
    return Posterior(
        sample=lambda params, noise: params[0] + jnp.exp(params[1] / 2) * noise,
        mean=lambda params: params[0],
        log_prob=lambda params, latent: gaussian_log_density(latent, *params),
        log_densities=lambda params, latent: gaussian_log_densities(latent, *params),
        kl=lambda params: gaussian_kl(*params),
    )
