"""A pyramid of feature maps, and the way back to an image, for images of any size.

Huang and Belongie (2017), https://arxiv.org/abs/1703.06868, section 6, take three levels and more of a classifier and
its mirror image.  Here the encoder is one that learns as half of an autoencoder, so that it wants no labels: patches
of two by two pixels become one, with a residual block at each level, and back from depth to space.  As there, nothing
is normalised, which would take an image's style from it; borders are repeated, where the paper reflects them.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.autoencoder.networks import Block
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.resizing import enlarge

LEVELS = 3
FACTOR = 2 ** (LEVELS - 1)


class PyramidEncoder(nn.Module):
    """Images float32 [B, H, W, C] to three maps float32 of `width`, twice and four times as many channels.

    Level l has the sides of the image over 2^l, rounded up: sides that are no multiples of 4 are mirrored at their end.
    """

    width: int = 16
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> tuple[Array, ...]:
        features = Block(BorderConv, self.dtype)(BorderConv(self.width, dtype=self.dtype)(mirrored(image)))
        maps = [features]
        for level in range(1, LEVELS):
            halved = Conv(self.width << level, (2, 2), (2, 2), padding="VALID", dtype=self.dtype)(features)
            features = Block(BorderConv, self.dtype)(halved)
            maps.append(features)
        return tuple(features.astype(jnp.float32) for features in maps)


class PyramidDecoder(nn.Module):
    """Maps [B, h, w, F] of a pyramid's last level to images float32 [B, 4h, 4w, channels], which nothing bounds."""

    channels: int
    width: int = 16
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, features: Array, *, train: bool) -> Array:
        features = BorderConv(self.width << (LEVELS - 1), dtype=self.dtype)(features)
        features = Block(BorderConv, self.dtype)(features)
        for level in reversed(range(LEVELS - 1)):
            features = enlarge(BorderConv(4 * self.width << level, dtype=self.dtype)(features))
            features = Block(BorderConv, self.dtype)(features)
        return BorderConv(self.channels, dtype=self.dtype)(features).astype(jnp.float32)


class BorderConv(nn.Module):
    """A convolution of 3x3 of [B, H, W, C] with its border repeated."""

    features: int
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, image: Array) -> Array:
        image = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
        options: Any = {"padding": "VALID", "dtype": self.dtype, "kernel_init": self.kernel_init}
        return Conv(self.features, (3, 3), **options)(image)


def mirrored(image: Array) -> Array:
    """The image [B, H, W, C] with what is missing to multiples of 4 mirrored at its end."""
    for axis in (1, 2):
        size = image.shape[axis]
        place = jnp.arange((size + FACTOR - 1) // FACTOR * FACTOR)
        mirror = jnp.where(place < size, place, 2 * (size - 1) - place)
        # A size may be one that an exported program leaves open: places are values, and no padding of so many.
        image = jnp.take(image, jnp.clip(mirror, 0, size - 1), axis=axis)
    return image
