"""Adversarial losses.

A discriminator gives a logit l = log D / (1 - D).  Goodfellow et al. (2014), https://arxiv.org/abs/1406.2661:

    (1) discriminator              -log D(x) - log(1 - D(G(z)))
    (2) generator, non-saturating  -log D(G(z))

Logits are [B]; every loss is [B], in nats, not reduced.
"""

import jax

from jaxgen.types import Array


def logistic_discriminator(real_logits: Array, fake_logits: Array) -> Array:
    """Cost of telling real from fake, (1).

    >>> import jax.numpy as jnp
    >>> logistic_discriminator(jnp.zeros(1), jnp.zeros(1)) / jnp.log(2)
    Array([2.], dtype=float32)
    """
    return jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits)


def non_saturating_generator(fake_logits: Array) -> Array:
    """Cost of being told from real, (2)."""
    return jax.nn.softplus(-fake_logits)
