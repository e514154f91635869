"""Contrastive losses over the pairs of a batch.

For image features u [B, F] and text features v [B, F], both of unit norm, let s_ij = u_i . v_j / temperature.  Radford
et al. (2021), https://arxiv.org/abs/2103.00020, figure 3:

    (1) symmetric cross-entropy    -1/2 log softmax_j(s_ij)[i] - 1/2 log softmax_i(s_ij)[j]    at i = j
"""

import jax
import jax.numpy as jnp

from jaxgen.core.batch import gather_batch, shard_batch
from jaxgen.core.types import Array


def symmetric_cross_entropy(images: Array, texts: Array, temperature: Array | float) -> Array:
    """Cross-entropy [B] of matching images to texts and texts to images in the global batch, (1), in nats."""
    similarity = gather_batch(images) @ gather_batch(texts).T / temperature
    costs = -0.5 * jnp.diag(jax.nn.log_softmax(similarity, axis=1) + jax.nn.log_softmax(similarity, axis=0))
    return shard_batch(costs)
