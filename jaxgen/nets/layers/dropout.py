"""Dropout that is the same on any number of devices."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.batch import devices, shard_batch
from jaxgen.core.types import Array


class Dropout(nn.Module):
    """In training each value [B, ...] is 0 with probability `rate`, and the others are larger by as much.

    Srivastava et al. (2014), https://jmlr.org/papers/v15/srivastava14a.html.  It draws from the stream "dropout":
    `forward(..., key=key)`.
    """

    rate: float

    @nn.compact
    def __call__(self, features: Array, *, train: bool) -> Array:
        if not 0 <= self.rate < 1:
            raise ValueError(f"Dropout was given a rate of {self.rate}; expected at least 0 and below 1.")
        if not train or self.rate == 0:
            return features
        shape = (devices() * len(features), *features.shape[1:])
        keep = shard_batch(jax.random.bernoulli(self.make_rng("dropout"), 1 - self.rate, shape))
        return jnp.where(keep, features / (1 - self.rate), 0.0)
