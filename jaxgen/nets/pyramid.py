"""A pyramid of feature maps, and the way back to an image, for images of any size.

Huang and Belongie (2017), https://arxiv.org/abs/1703.06868, section 6: the first three levels of a network like VGG and
its mirror image, without normalisation, which would take an image's style from it.  Borders are repeated, so that they
are not told from the inside.  Level l has the sides of the image over 2^l, rounded up.
"""

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.nets.conv import Conv
from jaxgen.nets.resizing import mean_pool, upsample
from jaxgen.types import Array

LEVELS = 3
FACTOR = 2 ** (LEVELS - 1)


class PyramidEncoder(nn.Module):
    """Images float32 [B, H, W, C] to three maps, not negative, of `width`, twice and four times as many channels.

    Sides that are no multiples of 4 are mirrored at their end until they are.
    """

    width: int = 16

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> tuple[Array, ...]:
        features, maps = mirrored(image), []
        for level in range(LEVELS):
            if level:
                features = mean_pool(BorderConv(features.shape[-1])(features))
            features = BorderConv(self.width << level)(features)
            maps.append(features)
        return tuple(maps)


class PyramidDecoder(nn.Module):
    """Maps [B, h, w, F] of the last level of a pyramid to images [B, 4h, 4w, channels], which nothing bounds."""

    channels: int
    width: int = 16

    @nn.compact
    def __call__(self, features: Array, *, train: bool) -> Array:
        for level in reversed(range(1, LEVELS)):
            features = upsample(BorderConv(self.width << (level - 1))(features))
            features = BorderConv(features.shape[-1])(features)
        return BorderConv(self.channels, is_last=True)(features)


class BorderConv(nn.Module):
    """A convolution of 3x3 of [B, H, W, C] with its border repeated, and the ReLU unless it is the last."""

    features: int
    is_last: bool = False

    @nn.compact
    def __call__(self, image: Array) -> Array:
        image = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
        initializer = nn.initializers.lecun_normal() if self.is_last else nn.initializers.he_normal()
        image = Conv(self.features, (3, 3), padding="VALID", kernel_init=initializer)(image)
        return image if self.is_last else nn.relu(image)


def mirrored(image: Array) -> Array:
    """The image [B, H, W, C] with what is missing to multiples of 4 mirrored at its end."""
    for axis in (1, 2):
        size = image.shape[axis]
        place = jnp.arange((size + FACTOR - 1) // FACTOR * FACTOR)
        mirror = jnp.where(place < size, place, 2 * (size - 1) - place)
        # A size may be one that an exported program leaves open: places are values, and no padding of so many.
        image = jnp.take(image, jnp.clip(mirror, 0, size - 1), axis=axis)
    return image
