"""Convolution after upsampling or before downsampling, as one convolution with a stride.

Repeating pixels and averaging blocks of 2x2 are convolutions with [1 1; 1 1], which merge with the kernel k:

    (1) K_ij = k_ij + k_(i-1)j + k_i(j-1) + k_(i-1)(j-1)
    (2) conv(upsample(x), k)  = conv_transpose(x, K) with stride 2
    (3) mean_pool(conv(x, k)) = conv(x, K / 4)       with stride 2

For a 3x3 kernel that takes 16 products where the left sides take 36, and no intermediate image of four times the
pixels.
Karras et al. (2018), https://arxiv.org/abs/1710.10196, appendix A.1 have (2) and (3) as options of their layers.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import conv, conv_transpose, convolution_layer
from jaxgen.nets.layers.padding import NO_WRAP, Pair, Wrap


def upsample_conv(image: Array, kernel: Array, wrap: Wrap = NO_WRAP) -> Array:
    """(2), of [B, H, W, C] with [h, w, C, D], h and w odd: [B, 2H, 2W, D]; circular as `conv` is."""
    pads = [(side // 2 + 1, side // 2 + 1) for side in kernel.shape[:2]]
    return conv_transpose(image, stretched(kernel), (2, 2), pads, wrap=wrap)


def conv_mean_pool(image: Array, kernel: Array, wrap: Wrap = NO_WRAP) -> Array:
    """(3), of [B, H, W, C] with [h, w, C, D], h and w odd: [B, H // 2, W // 2, D]; circular as `conv` is.

    A last odd row or column is dropped.
    """
    pads = [(side // 2, side // 2) for side in kernel.shape[:2]]
    return conv(image, stretched(kernel) / 4, (2, 2), pads, wrap=wrap)


def stretched(kernel: Array) -> Array:
    """K [h + 1, w + 1, C, D] of (1)."""
    for axis in (0, 1):
        after, before = ([(0, 0)] * 4 for _ in range(2))
        after[axis], before[axis] = (0, 1), (1, 0)
        kernel = jnp.pad(kernel, after) + jnp.pad(kernel, before)
    return kernel


class ResizedConv(nn.Module):
    """A layer of one of these operations, with the fields and the parameters of `Conv`."""

    operation: Callable[..., Array]
    features: int
    kernel_size: Pair
    wrap: Wrap = NO_WRAP
    use_bias: bool = True
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, image: Array) -> Array:
        return convolution_layer(self, image, partial(self.operation, wrap=self.wrap))


UpsampleConv = partial(ResizedConv, upsample_conv)
"""A layer that upsamples and convolves, (2): [B, H, W, C] to [B, 2H, 2W, features]."""

ConvMeanPool = partial(ResizedConv, conv_mean_pool)
"""A layer that convolves and downsamples, (3): [B, H, W, C] to [B, H // 2, W // 2, features]."""
