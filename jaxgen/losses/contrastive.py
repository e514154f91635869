"""Contrastive losses of pairs in a batch.

Image features u [B, F] and text features v [B, F], each of length 1, with s_ij = u_i . v_j / temperature.  Radford et
al. (2021), https://arxiv.org/abs/2103.00020, figure 3:

    (1) symmetric cross-entropy    -1/2 log softmax_j(s_ij)[i] - 1/2 log softmax_i(s_ij)[j]    at i = j
"""

import jax
import jax.numpy as jnp

from jaxgen.core.batch import gather_batch, shard_batch
from jaxgen.core.types import Array


def symmetric_cross_entropy(images: Array, texts: Array, temperature: Array | float) -> Array:
    """Cost [B] of finding the text of each image and the image of each text, (1), in nats, in the whole batch."""
    likeness = gather_batch(images) @ gather_batch(texts).T / temperature
    costs = -0.5 * jnp.diag(jax.nn.log_softmax(likeness, axis=1) + jax.nn.log_softmax(likeness, axis=0))
    return shard_batch(costs)
