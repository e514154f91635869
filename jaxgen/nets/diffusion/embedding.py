"""Embeddings of noise levels."""

import math

import jax.numpy as jnp

from jaxgen.core.types import Array


def sinusoids(levels: Array, size: int, fastest: float = 1_000.0) -> Array:
    """Cosines and sines [B, F] of noise levels [B], with angular frequencies from `fastest` to a 10,000th of it.

    F is `size`, or one more if that is odd.
    """
    count = -(-size // 2)
    frequencies = fastest * jnp.exp(-math.log(10_000.0) * jnp.arange(count) / count)
    angles = levels[:, None] * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)
