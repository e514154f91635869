"""An encoder of images of any size to a pyramid of feature maps, and a decoder of its last level.

Huang and Belongie (2017), https://arxiv.org/abs/1703.06868, section 6, use the levels of a pretrained classifier and a
mirrored decoder.  Here the encoder is trained as half of an autoencoder, so that it needs no labels: convolutions with
stride 2 between levels, a residual block at each, and depth to space in the decoder.  As in the paper there is no
normalisation, which would remove an image's style; borders are replicated, where the paper reflects them.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.residual import Block
from jaxgen.nets.layers.resizing import enlarge

LEVELS = 3
FACTOR = 2 ** (LEVELS - 1)


class PyramidEncoder(nn.Module):
    """From images float32 [B, H, W, C] to three float32 maps: level l is [B, H / 2^l, W / 2^l, 2^l width], l = 0, 1, 2.

    The image is first padded by reflection, at the bottom and the right, to sides that are multiples of 4.
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
    """From maps [B, h, w, F] of a pyramid's last level to images float32 [B, 4h, 4w, channels], unbounded."""

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
    """A 3x3 convolution of [B, H, W, C] with replicated borders."""

    features: int
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, image: Array) -> Array:
        image = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
        options: Any = {"padding": "VALID", "dtype": self.dtype, "kernel_init": self.kernel_init}
        return Conv(self.features, (3, 3), **options)(image)


def mirrored(image: Array) -> Array:
    """The image [B, H, W, C] padded by reflection at its end to sides that are multiples of 4."""
    for axis in (1, 2):
        size = image.shape[axis]
        place = jnp.arange((size + FACTOR - 1) // FACTOR * FACTOR)
        mirror = jnp.where(place < size, place, 2 * (size - 1) - place)
        # A size may be symbolic in an exported program, so the indices are values and not a padding width.
        image = jnp.take(image, jnp.clip(mirror, 0, size - 1), axis=axis)
    return image
