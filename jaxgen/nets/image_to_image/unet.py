"""Networks from an image to an image of its size.

They take images float32 [B, H, W, C] in [-1, 1], then a condition [B, F] or none, to distribution parameters float32
[B, H, W, P], and draw dropout from the stream "dropout".  For images from features alone, use an autoencoder's decoder.

    UNet         an encoder and a decoder with skip connections at each size: Ronneberger et al. (2015),
                 https://arxiv.org/abs/1505.04597, with residual blocks without normalisation
    ClassicCNN   the convolutional classifier of many tutorials with an image as its output
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conditioning import with_condition
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.dropout import Dropout
from jaxgen.nets.layers.residual import Block
from jaxgen.nets.layers.resizing import enlarge, fold, max_pool, require_multiple


class UNet(nn.Module):
    """Images with sides that are multiples of 2^levels to `num_params` outputs per pixel.

    The first maps have `width` channels; each halving of the size, by 2x2 max pooling or a stride, doubles them.  There
    are `blocks` residual blocks at each size on the way down and on the way up.  `folded` applies the network to blocks
    of 2x2 pixels as channels, which saves time; sides are then multiples of 2^(levels + 1).  `dropout` acts on the
    smallest map.  Without `skips` that map is the only path to the output.
    """

    num_params: int
    width: int = 32
    levels: int = 2
    blocks: int = 1
    folded: bool = False
    halving: Literal["pool", "stride"] = "stride"
    skips: bool = True
    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool) -> Array:
        require_multiple(image.shape[1:3], 2 ** (self.levels + self.folded))
        hidden, seen = Conv(self.width, (3, 3), dtype=self.dtype)(fold(image) if self.folded else image), []
        for level in range(self.levels):
            hidden = self._blocks(hidden)
            seen.append(hidden)
            hidden = self._halved(jax.nn.gelu(hidden), self.width << (level + 1))
        if condition is not None:
            hidden += nn.Dense(hidden.shape[-1], dtype=self.dtype)(condition)[:, None, None]
        hidden = Dropout(self.dropout)(self._blocks(hidden), train=train)
        for level in reversed(range(self.levels)):
            width = self.width << level
            hidden = enlarge(Conv(4 * width, (1, 1), dtype=self.dtype)(jax.nn.gelu(hidden)))
            if self.skips:
                hidden = Conv(width, (1, 1), dtype=self.dtype)(jnp.concatenate([hidden, seen[level]], axis=-1))
            hidden = self._blocks(hidden)
        outputs = self.num_params * (4 if self.folded else 1)
        last = Conv(outputs, (3, 3), dtype=self.dtype, kernel_init=nn.initializers.zeros)
        output = last(jax.nn.gelu(hidden)).astype(jnp.float32)
        return enlarge(output) if self.folded else output

    def _blocks(self, hidden: Array) -> Array:
        for _ in range(self.blocks):
            hidden = Block(dtype=self.dtype)(hidden)
        return hidden

    def _halved(self, hidden: Array, width: int) -> Array:
        if self.halving == "stride":
            return Conv(width, (4, 4), (2, 2), dtype=self.dtype)(hidden)
        if self.halving == "pool":
            return Conv(width, (3, 3), dtype=self.dtype)(max_pool(hidden))
        raise ValueError(f"A UNet was given halving={self.halving!r}; expected 'stride' or 'pool'.")


class ClassicCNN(nn.Module):
    """Images with even sides to `num_params` outputs per pixel: a convolution, 2x2 max pooling, two dense layers.

    `dropout` acts on the hidden features.  With a `bernoulli` likelihood the outputs are the logits of a sigmoid.
    """

    num_params: int
    width: int = 32
    hidden: int = 128
    dropout: float = 0.5
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool) -> Array:
        require_multiple(image.shape[1:3], 2)
        batch, height, width, _ = image.shape
        pooled = max_pool(nn.relu(Conv(self.width, (3, 3), dtype=self.dtype)(image)))
        features = with_condition(pooled.reshape(batch, -1), condition)
        features = nn.relu(nn.Dense(self.hidden, dtype=self.dtype)(features))
        features = Dropout(self.dropout)(features, train=train)
        output = nn.Dense(height * width * self.num_params, dtype=self.dtype)(features)
        return output.reshape(batch, height, width, self.num_params).astype(jnp.float32)
