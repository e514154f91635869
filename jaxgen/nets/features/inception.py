"""Inception-v3 as the Fréchet inception distance defines it: the network of 2015-12-05 that TensorFlow distributed.

Szegedy et al. (2016), https://arxiv.org/abs/1512.00567; Heusel et al. (2017), https://arxiv.org/abs/1706.08500.  It
differs from the network of the paper and of torchvision:

- average pooling does not count the padding
- the last block uses max pooling, where the others use average pooling
- images are resized bilinearly as in TensorFlow 1, which aligns the top left corners of pixels

Every convolution has its BatchNorm folded into kernel and bias.  Layers are named as in pytorch-fid.
"""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgen.core.types import Array

SIDE, FEATURES, CLASSES = 299, 2048, 1008


class Unit(nn.Module):
    """Convolution with bias, and ReLU.  `padding` is 'SAME' or 'VALID'."""

    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, image: Array) -> Array:
        shape = (*self.kernel, image.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        strides = (self.stride, self.stride)
        image = lax.conv_general_dilated(
            image, kernel, strides, self.padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return nn.relu(image + bias)


class BlockA(nn.Module):
    """35x35, 5x5 and double 3x3 convolutions."""

    pool_features: int

    @nn.compact
    def __call__(self, image: Array) -> Array:
        one = Unit(64, name="branch1x1")(image)
        five = Unit(48, name="branch5x5_1")(image)
        five = Unit(64, (5, 5), name="branch5x5_2")(five)
        double = Unit(64, name="branch3x3dbl_1")(image)
        double = Unit(96, (3, 3), name="branch3x3dbl_2")(double)
        double = Unit(96, (3, 3), name="branch3x3dbl_3")(double)
        pool = Unit(self.pool_features, name="branch_pool")(average(image))
        return jnp.concatenate([one, five, double, pool], axis=-1)


class BlockB(nn.Module):
    """35x35 to 17x17."""

    @nn.compact
    def __call__(self, image: Array) -> Array:
        three = Unit(384, (3, 3), 2, "VALID", name="branch3x3")(image)
        double = Unit(64, name="branch3x3dbl_1")(image)
        double = Unit(96, (3, 3), name="branch3x3dbl_2")(double)
        double = Unit(96, (3, 3), 2, "VALID", name="branch3x3dbl_3")(double)
        return jnp.concatenate([three, double, halved(image)], axis=-1)


class BlockC(nn.Module):
    """17x17, 7x7 convolutions factorised into rows and columns."""

    features: int

    @nn.compact
    def __call__(self, image: Array) -> Array:
        one = Unit(192, name="branch1x1")(image)
        seven = Unit(self.features, name="branch7x7_1")(image)
        seven = Unit(self.features, (1, 7), name="branch7x7_2")(seven)
        seven = Unit(192, (7, 1), name="branch7x7_3")(seven)
        double = Unit(self.features, name="branch7x7dbl_1")(image)
        double = Unit(self.features, (7, 1), name="branch7x7dbl_2")(double)
        double = Unit(self.features, (1, 7), name="branch7x7dbl_3")(double)
        double = Unit(self.features, (7, 1), name="branch7x7dbl_4")(double)
        double = Unit(192, (1, 7), name="branch7x7dbl_5")(double)
        pool = Unit(192, name="branch_pool")(average(image))
        return jnp.concatenate([one, seven, double, pool], axis=-1)


class BlockD(nn.Module):
    """17x17 to 8x8."""

    @nn.compact
    def __call__(self, image: Array) -> Array:
        three = Unit(192, name="branch3x3_1")(image)
        three = Unit(320, (3, 3), 2, "VALID", name="branch3x3_2")(three)
        seven = Unit(192, name="branch7x7x3_1")(image)
        seven = Unit(192, (1, 7), name="branch7x7x3_2")(seven)
        seven = Unit(192, (7, 1), name="branch7x7x3_3")(seven)
        seven = Unit(192, (3, 3), 2, "VALID", name="branch7x7x3_4")(seven)
        return jnp.concatenate([three, seven, halved(image)], axis=-1)


class BlockE(nn.Module):
    """8x8, 3x3 convolutions factorised into parallel rows and columns."""

    pool_by_maxima: bool

    @nn.compact
    def __call__(self, image: Array) -> Array:
        one = Unit(320, name="branch1x1")(image)
        three = Unit(384, name="branch3x3_1")(image)
        three_row = Unit(384, (1, 3), name="branch3x3_2a")(three)
        three_column = Unit(384, (3, 1), name="branch3x3_2b")(three)
        double = Unit(448, name="branch3x3dbl_1")(image)
        double = Unit(384, (3, 3), name="branch3x3dbl_2")(double)
        double_row = Unit(384, (1, 3), name="branch3x3dbl_3a")(double)
        double_column = Unit(384, (3, 1), name="branch3x3dbl_3b")(double)
        pooled = nn.max_pool(image, (3, 3), (1, 1), "SAME") if self.pool_by_maxima else average(image)
        pool = Unit(192, name="branch_pool")(pooled)
        return jnp.concatenate([one, three_row, three_column, double_row, double_column, pool], axis=-1)


class InceptionV3(nn.Module):
    """Images float32 [B, H, W, 3] from 0 to 255, of any size, to features [B, 2048]."""

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> Array:
        image = (resized(image) - 128) / 128
        image = Unit(32, (3, 3), 2, "VALID", name="Conv2d_1a_3x3")(image)
        image = Unit(32, (3, 3), 1, "VALID", name="Conv2d_2a_3x3")(image)
        image = halved(Unit(64, (3, 3), name="Conv2d_2b_3x3")(image))
        image = Unit(80, name="Conv2d_3b_1x1")(image)
        image = halved(Unit(192, (3, 3), 1, "VALID", name="Conv2d_4a_3x3")(image))
        for letter, pool_features in zip("bcd", (32, 64, 64), strict=True):
            image = BlockA(pool_features, name=f"Mixed_5{letter}")(image)
        image = BlockB(name="Mixed_6a")(image)
        for letter, features in zip("bcde", (128, 160, 160, 192), strict=True):
            image = BlockC(features, name=f"Mixed_6{letter}")(image)
        image = BlockD(name="Mixed_7a")(image)
        image = BlockE(pool_by_maxima=False, name="Mixed_7b")(image)
        image = BlockE(pool_by_maxima=True, name="Mixed_7c")(image)
        return image.mean(axis=(1, 2))


def resized(image: Array) -> Array:
    """Images [B, H, W, C] resized to [B, 299, 299, C] bilinearly as in TensorFlow 1: row i is sampled at i H / 299."""
    rows, columns = (_interpolation(side) for side in image.shape[1:3])
    return jnp.einsum("rh,bhwc,sw->brsc", rows, image, columns, precision=lax.Precision.HIGHEST)


def average(image: Array) -> Array:
    """Average pooling over 3x3 pixels, which does not count the padding."""
    return nn.avg_pool(image, (3, 3), (1, 1), "SAME", count_include_pad=False)


def halved(image: Array) -> Array:
    """Max pooling over 3x3 pixels with stride 2."""
    return nn.max_pool(image, (3, 3), (2, 2))


def _interpolation(side: int) -> np.ndarray:
    """The matrix [299, side] that interpolates one side."""
    places = np.arange(SIDE, dtype=np.float32) * np.float32(side / SIDE)
    low = np.floor(places).astype(int)
    weights = np.zeros((SIDE, side), np.float32)
    rows = np.arange(SIDE)
    np.add.at(weights, (rows, low), 1 - (places - low))
    np.add.at(weights, (rows, np.minimum(low + 1, side - 1)), places - low)
    return weights
