"""The U-Net of diffusion models.  Ho et al. (2020), https://arxiv.org/abs/2006.11239, appendix B, with the adaptive
group normalisation of Dhariwal and Nichol (2021), https://arxiv.org/abs/2105.05233, section 3.

With c an embedding of the noise level and of the condition, and norm a group normalisation, a block is

    (1) h = conv(silu(norm(x)))
    (2) x <- x + conv(silu(norm(h) (1 + a) + b)),         (a, b) = W silu(c),  W = 0 and the last convolution 0 at first

so that every block is the identity at first, or a 1x1 convolution where the number of channels changes.
"""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.diffusion.embedding import sinusoids
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.dropout import Dropout
from jaxgen.nets.layers.padding import NO_WRAP, Wrap
from jaxgen.nets.layers.resized_conv import UpsampleConv
from jaxgen.nets.layers.resizing import enlarge, fold, require_multiple

HEAD_SIZE = 64
ZEROS = nn.initializers.zeros


class Block(nn.Module):
    """The block (1) and (2), with `features` channels."""

    features: int
    dropout: float
    train: bool
    wrap: Wrap
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, image: Array, embedding: Array) -> Array:
        conv = partial(Conv, self.features, (3, 3), wrap=self.wrap, dtype=self.dtype)
        hidden = conv()(jax.nn.silu(group_norm(image, self.dtype)))
        modulation = nn.Dense(2 * self.features, dtype=self.dtype, kernel_init=ZEROS)(embedding)
        a, b = jnp.split(modulation[:, None, None], 2, axis=-1)
        hidden = jax.nn.silu(group_norm(hidden, self.dtype) * (1 + a) + b)
        hidden = conv(kernel_init=ZEROS)(Dropout(self.dropout)(hidden, train=self.train))
        if image.shape[-1] != self.features:
            image = Conv(self.features, (1, 1), dtype=self.dtype, name="widened")(image)
        return image + hidden


class Attention(nn.Module):
    """Self-attention among the places of a map [B, H, W, C], added to it; zero at first."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, image: Array) -> Array:
        batch, height, width, features = image.shape
        heads = math.gcd(features, max(1, features // HEAD_SIZE))
        dense = partial(nn.Dense, dtype=self.dtype)
        places = group_norm(image, self.dtype).reshape(batch, height * width, features)
        shape = (batch, height * width, heads, features // heads)
        queries, keys, values = (part.reshape(shape) for part in jnp.split(dense(3 * features)(places), 3, -1))
        attended = jax.nn.dot_product_attention(queries, keys, values).reshape(places.shape)
        return image + dense(features, kernel_init=ZEROS)(attended).reshape(image.shape)


class DiffusionUNet(nn.Module):
    """Images [B, H, W, C], a condition [B, F] and noise levels [B] to outputs float32 [B, H, W, C].

    The maps of level i have `width * multipliers[i]` channels and half the sides of the level before; on each level
    there are `blocks` blocks on the way down and one more on the way up, each with a skip connection.  Maps with sides
    of at most `attended` pixels have self-attention.  `dropout` acts inside the blocks.  `folded` applies the network
    to blocks of 2x2 pixels as channels, which saves time; sides are then multiples of 2^levels.  On the axes of `wrap`,
    (rows, columns), images wrap around, and the network commutes with circular shifts by multiples of the power of 2
    that sides are multiples of.  Without attention it draws images of any size, also such that wrap around, with the
    same variables.

    Raises:
      InputError: a side is no multiple of 2^(levels - 1), or 2^levels if `folded`.
    """

    width: int = 64
    multipliers: tuple[int, ...] = (1, 2, 2)
    blocks: int = 1
    attended: int = 8
    dropout: float = 0.0
    folded: bool = False
    wrap: Wrap = NO_WRAP
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool, noise_level: Array) -> Array:
        require_multiple(image.shape[1:3], 2 ** (len(self.multipliers) - 1 + self.folded))
        image = fold(image) if self.folded else image
        dense = partial(nn.Dense, 4 * self.width, dtype=self.dtype)
        embedding = dense()(jax.nn.silu(dense()(sinusoids(noise_level, 2 * self.width))))
        if condition is not None:
            embedding += dense(use_bias=False, name="condition")(condition)
        embedding = jax.nn.silu(embedding)

        def block(hidden: Array, features: int) -> Array:
            hidden = Block(features, self.dropout, train, self.wrap, self.dtype)(hidden, embedding)
            return Attention(self.dtype)(hidden) if max(hidden.shape[1:3]) <= self.attended else hidden

        widths = [self.width * multiplier for multiplier in self.multipliers]
        conv = partial(Conv, kernel_size=(3, 3), wrap=self.wrap, dtype=self.dtype)
        hidden = conv(self.width)(image)
        seen = [hidden]
        for level, features in enumerate(widths):
            if level:
                hidden = conv(hidden.shape[-1], strides=(2, 2))(hidden)
                seen.append(hidden)
            for _ in range(self.blocks):
                hidden = block(hidden, features)
                seen.append(hidden)
        hidden = block(hidden, widths[-1])
        for level, features in reversed([*enumerate(widths)]):
            for _ in range(self.blocks + 1):
                hidden = block(jnp.concatenate([hidden, seen.pop()], axis=-1), features)
            if level:
                hidden = UpsampleConv(features, (3, 3), wrap=self.wrap, dtype=self.dtype)(hidden)
        last = conv(image.shape[-1], kernel_init=ZEROS)
        output = last(jax.nn.silu(group_norm(hidden, self.dtype))).astype(jnp.float32)
        return enlarge(output) if self.folded else output


def group_norm(image: Array, dtype: jnp.dtype) -> Array:
    """A group normalisation of up to 32 groups of at least 4 channels; call it inside a module.

    Wu and He (2018), https://arxiv.org/abs/1803.08494.
    """
    features = image.shape[-1]
    return nn.GroupNorm(math.gcd(max(1, features // 4), features, 32), dtype=dtype)(image)
