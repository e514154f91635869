"""Dropout that is the same on any number of devices."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.batch import draw_batch
from jaxgen.core.types import Array


class Dropout(nn.Module):
    """Dropout: in training each value [B, ...] is 0 with probability `rate`, the others are scaled by 1 / (1 - rate).

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
        key = self.make_rng("dropout")
        keep = draw_batch(lambda key, shape: jax.random.bernoulli(key, 1 - self.rate, shape), key, features.shape)
        return jnp.where(keep, features / (1 - self.rate), 0.0)
