"""Convolutions as matrix products where that is faster, with the results of `jax.lax`.

XLA's CPU back end has no fast path for the weight gradient of a convolution whose output is larger than its input.
With k the kernel size, s the stride and k a multiple of s, the same sums are one matrix product:

    conv            space-to-depth by s, the k/s x k/s shifted views side by side, one product
    conv_transpose  one product, then the k/s x k/s shifted results added up, depth-to-space by s

Their derivatives of every order are products again.  GPU and TPU keep the native operation.
"""

from collections.abc import Sequence
from functools import reduce

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from jaxgen.types import Array

Padding = str | Sequence[tuple[int, int]]

LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv(image: Array, kernel: Array, strides: tuple[int, int], padding: Padding) -> Array:
    """`jax.lax.conv_general_dilated` of [B, H, W, C] with [h, w, C, D].

    Raises:
      ValueError: the channels of image and kernel differ.
    """
    _require_channels(image, kernel)
    size, taps = image.shape[1:3], kernel.shape[:2]
    pads = lax.padtype_to_pads(size, taps, strides, padding) if isinstance(padding, str) else tuple(padding)

    def native(image, kernel):
        return lax.conv_general_dilated(image, kernel, strides, pads, dimension_numbers=LAYOUT)

    def product(image, kernel):
        return _conv_product(image, kernel, strides, pads)

    if not _divides(strides, taps):
        return native(image, kernel)
    return lax.platform_dependent(image, kernel, cpu=product, default=native)


def conv_transpose(image: Array, kernel: Array, strides: tuple[int, int], padding: str) -> Array:
    """`jax.lax.conv_transpose` of [B, H, W, C] with [h, w, C, D] (kernel not flipped); padding 'SAME' or 'VALID'.

    Raises:
      ValueError: the channels of image and kernel differ, or the padding is another.
    """
    _require_channels(image, kernel)
    if padding not in ("SAME", "VALID"):
        raise ValueError(f"A padding of {padding!r} was given; expected 'SAME' or 'VALID'.")

    def native(image, kernel):
        return lax.conv_transpose(image, kernel, strides, padding, dimension_numbers=LAYOUT)

    def product(image, kernel):
        return _conv_transpose_product(image, kernel, strides, padding)

    if not _divides(strides, kernel.shape[:2]):
        return native(image, kernel)
    return lax.platform_dependent(image, kernel, cpu=product, default=native)


def _conv_product(image: Array, kernel: Array, strides: tuple[int, int], pads) -> Array:
    (s, t), (h, w, channels, features) = strides, kernel.shape
    rows, columns = (
        (size + low + high - k) // stride + 1
        for size, (low, high), k, stride in zip(image.shape[1:3], pads, (h, w), strides, strict=True)
    )
    a, b = h // s, w // t
    bottom = (rows + a - 1) * s - image.shape[1] - pads[0][0]
    right = (columns + b - 1) * t - image.shape[2] - pads[1][0]
    image = lax.pad(
        image, jnp.zeros((), image.dtype), ((0, 0, 0), (pads[0][0], bottom, 0), (pads[1][0], right, 0), (0, 0, 0))
    )
    blocks = image.reshape(-1, rows + a - 1, s, columns + b - 1, t, channels).transpose(0, 1, 3, 2, 4, 5)
    blocks = blocks.reshape(-1, rows + a - 1, columns + b - 1, s * t * channels)
    views = [blocks[:, i : i + rows, j : j + columns] for i in range(a) for j in range(b)]
    weights = kernel.reshape(a, s, b, t, channels, features).transpose(0, 2, 1, 3, 4, 5).reshape(-1, features)
    return jnp.concatenate(views, axis=-1) @ weights


def _conv_transpose_product(image: Array, kernel: Array, strides: tuple[int, int], padding: str) -> Array:
    (s, t), (h, w, channels, features) = strides, kernel.shape
    _, rows, columns, _ = image.shape
    a, b = h // s, w // t
    flipped = kernel[::-1, ::-1].reshape(a, s, b, t, channels, features).transpose(4, 0, 2, 1, 3, 5)
    products = (image @ flipped.reshape(channels, -1)).reshape(-1, rows, columns, a, b, s * t * features)
    shifted = [
        jnp.pad(products[:, :, :, i, j], ((0, 0), (i, a - 1 - i), (j, b - 1 - j), (0, 0)))
        for i in range(a)
        for j in range(b)
    ]
    blocks = reduce(jnp.add, shifted).reshape(-1, rows + a - 1, columns + b - 1, s, t, features)
    blocks = blocks.transpose(0, 1, 3, 2, 4, 5)
    image = blocks.reshape(-1, (rows + a - 1) * s, (columns + b - 1) * t, features)
    if padding == "VALID":
        return image
    top, left = ((k - s + 1) // 2 if k >= s else 0 for k, s in zip((h, w), strides, strict=True))
    top, left = h - s - top, w - t - left
    return image[:, top : top + rows * s, left : left + columns * t]


def _divides(strides: tuple[int, int], taps: tuple[int, ...]) -> bool:
    return all(tap % stride == 0 for tap, stride in zip(taps, strides, strict=True))


def _require_channels(image: Array, kernel: Array) -> None:
    if image.ndim != 4 or kernel.ndim != 4 or image.shape[-1] != kernel.shape[2]:
        raise ValueError(
            f"An image {image.shape} and a kernel {kernel.shape} do not fit; expected [B, H, W, C] and [h, w, C, D]."
        )


class Conv(nn.Module):
    """A convolution layer with Linen's argument names: [B, H, W, C] to [B, H', W', features]."""

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    use_bias: bool = True
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, image: Array) -> Array:
        return _layer(self, image, lambda image, kernel: conv(image, kernel, self.strides, self.padding))


class ConvTranspose(nn.Module):
    """A transposed convolution layer with Linen's argument names: [B, H, W, C] to [B, H', W', features]."""

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: str = "SAME"
    use_bias: bool = True
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, image: Array) -> Array:
        return _layer(self, image, lambda image, kernel: conv_transpose(image, kernel, self.strides, self.padding))


def _layer(layer: Conv | ConvTranspose, image: Array, operation) -> Array:
    kernel = layer.param(
        "kernel", layer.kernel_init, (*layer.kernel_size, image.shape[-1], layer.features), jnp.float32
    )
    output = operation(image.astype(layer.dtype), kernel.astype(layer.dtype))
    if layer.use_bias:
        bias = layer.param("bias", layer.bias_init, (layer.features,), jnp.float32)
        output += bias.astype(layer.dtype)
    return output
