"""The discriminator of pix2pix.  Isola et al. (2017), https://arxiv.org/abs/1611.07004, section 3.2.2."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv


class PatchDiscriminator(nn.Module):
    """Images [B, H, W, C], and perhaps the inputs [B, H, W, C'] that they are restored from, to logits float32 [B].

    The logit is the mean of the logits of overlapping patches with sides of 5 * 2^layers - 2 pixels; the authors' code
    averages the patches' losses instead.  There are no normalisation layers, so that a logit depends on its image
    alone, as gradient penalties assume.
    """

    width: int = 32
    layers: int = 2
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool) -> Array:
        hidden = image if condition is None else jnp.concatenate([image, condition], axis=-1)
        for layer in range(self.layers):
            hidden = Conv(self.width << layer, (4, 4), (2, 2), dtype=self.dtype)(hidden)
            hidden = jax.nn.leaky_relu(hidden, 0.2)
        return Conv(1, (3, 3), dtype=self.dtype)(hidden).astype(jnp.float32).mean((1, 2, 3))
