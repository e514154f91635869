"""Convolutions that are matrix products on CPU, with the results of `jax.lax`.

XLA's CPU back end has no fast path for the weight gradients of strided and of transposed convolutions.  With kernel
size k and stride s the same sums are one matrix product:

    conv            space-to-depth by s, the ceil(k/s) x ceil(k/s) shifted views side by side, one product
    conv_transpose  one product, then the ceil(k/s) x ceil(k/s) shifted results added up, depth-to-space by s

A kernel whose size is not a multiple of the stride wastes no products, and derivatives of every order are products
again.  What it costs is memory: the views are ceil(k/s) x ceil(k/s) times the image, and are kept for the weights'
gradient.

GPU and TPU keep the native operations, but for the weight gradient of a transposed convolution with stride.  XLA's is a
convolution of the image, spread out by the stride, with the whole cotangent for its kernel; the weight gradient of the
strided convolution that is its transpose has the same sums, and takes a TPU fewer cycles.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxgen.core.types import Array
from jaxgen.nets.layers.padding import (
    NO_WRAP,
    Padding,
    Pads,
    Pair,
    Wrap,
    enlarged,
    is_empty,
    reduced,
    transposed_pads,
    wrapped,
    wrapped_transpose,
)

Operation = Callable[[Array, Array], Array]
"""An image and a kernel to an image."""

LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv(
    image: Array,
    kernel: Array,
    strides: Pair = (1, 1),
    padding: Padding = "SAME",
    kernel_dilation: Pair = (1, 1),
    *,
    wrap: Wrap = NO_WRAP,
) -> Array:
    """`jax.lax.conv_general_dilated` of [B, H, W, C] with [h, w, C, D], its padding circular on the axes of `wrap`.

    A dilated kernel with strides takes the native operation everywhere.

    Raises:
      ValueError: shapes or types of image and kernel do not fit, or a stride, padding or dilation is not supported.
    """
    _require_fit(image, kernel, strides, padding, kernel_dilation)
    extent = [(k - 1) * dilation + 1 for k, dilation in zip(kernel.shape[:2], kernel_dilation, strict=True)]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(image.shape[1:3], extent, strides, padding)
    pads = tuple((low, high) for low, high in padding)
    if any(wrap):
        image, pads = wrapped(image, extent, strides, pads, wrap)

    def native(image, kernel):
        return lax.conv_general_dilated(
            image, kernel, strides, pads, rhs_dilation=kernel_dilation, dimension_numbers=LAYOUT
        )

    is_both = max(kernel_dilation) > 1 and max(strides) > 1
    if is_both or is_empty(reduced(image.shape[1:3], extent, strides, pads)):
        return native(image, kernel)
    options = {"strides": strides, "pads": pads, "dilation": tuple(kernel_dilation)}
    product = partial(_in_float32, partial(_conv_product, **options))
    return lax.platform_dependent(image, kernel, cpu=product, default=native)


def conv_transpose(
    image: Array, kernel: Array, strides: Pair = (1, 1), padding: Padding = "SAME", *, wrap: Wrap = NO_WRAP
) -> Array:
    """`jax.lax.conv_transpose` of [B, H, W, C] with [h, w, C, D], the kernel not flipped, circular as `conv` is.

    An explicit padding is, as there, that of the image after `strides - 1` zeros were put between its pixels.

    Raises:
      ValueError: shapes or types of image and kernel do not fit, or a stride or padding is not supported.
    """
    _require_fit(image, kernel, strides, padding)
    if isinstance(padding, str):
        padding = [transposed_pads(k, s, padding) for k, s in zip(kernel.shape[:2], strides, strict=True)]
    pads = tuple((low, high) for low, high in padding)
    if any(wrap):
        image, pads = wrapped_transpose(image, kernel.shape[:2], strides, pads, wrap)

    def native(image, kernel):
        return lax.conv_transpose(image, kernel, strides, pads, dimension_numbers=LAYOUT)

    if is_empty(enlarged(image.shape[1:3], kernel.shape[:2], strides, pads)):
        return native(image, kernel)
    product = partial(_in_float32, partial(_conv_transpose_product, strides=strides, pads=pads))
    default = _with_strided_gradient(native, strides, pads) if max(strides) > 1 else native
    return lax.platform_dependent(image, kernel, cpu=product, default=default)


def _with_strided_gradient(native: Operation, strides: Pair, pads: Pads) -> Operation:
    """A transposed convolution whose weight gradient is that of a strided convolution."""

    def derivative(primals, tangents):
        (image, kernel), (image_slope, kernel_slope) = primals, tangents
        slopes = []
        if not isinstance(image_slope, SymbolicZero):
            slopes.append(operation(image_slope, kernel))
        if not isinstance(kernel_slope, SymbolicZero):
            slopes.append(_kernel_by_image(image, kernel_slope, strides, pads))
        return operation(image, kernel), reduce(jnp.add, slopes)

    # A rule for tangents: one for cotangents would refuse forward-mode derivatives, which `lazily` takes.
    operation = jax.custom_jvp(native)
    operation.defjvp(derivative, symbolic_zeros=True)
    return operation


def _kernel_by_image(image: Array, kernel: Array, strides: Pair, pads: Pads) -> Array:
    """The transposed convolution, as a convolution of the kernel with the image for its weights.

    With both reversed, so that the gradient of the kernel reverses neither the cotangent nor, again, the image.
    """
    sides, taps = image.shape[1:3], kernel.shape[:2]
    starts = [s * (n - 1) - (k - 1 - low) for n, k, s, (low, _) in zip(sides, taps, strides, pads, strict=True)]
    ends = [size - low for size, (low, _) in zip(enlarged(sides, taps, strides, pads), pads, strict=True)]
    edges = [(start, end - 1) for start, end in zip(starts, ends, strict=True)]
    weights, kernel = lax.rev(image, (1, 2)), lax.rev(kernel, (0, 1))
    return lax.conv_general_dilated(
        kernel, weights, (1, 1), edges, rhs_dilation=strides, dimension_numbers=("HWCN", "OHWI", "CHWN")
    )


def _conv_product(image: Array, kernel: Array, *, strides: Pair, pads: Pads, dilation: Pair) -> Array:
    (s, t), (h, w, channels, features), ((top, _), (left, _)) = strides, kernel.shape, pads
    extent = (h - 1) * dilation[0] + 1, (w - 1) * dilation[1] + 1
    batch, (rows, columns) = image.shape[0], reduced(image.shape[1:3], extent, strides, pads)
    blocks = {(i * dilation[0], j * dilation[1]): block for (i, j), block in _blocks(kernel, strides).items()}
    a, b = list(blocks)[-1]
    image = _placed(image, (top, left), ((rows + a) * s, (columns + b) * t))
    image = image.reshape(batch, rows + a, s, columns + b, t, channels).transpose(0, 1, 3, 2, 4, 5)
    views = [
        image[:, i : i + rows, j : j + columns, : block.shape[0], : block.shape[1]].reshape(batch, rows, columns, -1)
        for (i, j), block in blocks.items()
    ]
    weights = [block.reshape(-1, features) for block in blocks.values()]
    return _product(_side_by_side(views), jnp.concatenate(weights))


def _conv_transpose_product(image: Array, kernel: Array, *, strides: Pair, pads: Pads) -> Array:
    (s, t), (h, w, channels, features), ((top, _), (left, _)) = strides, kernel.shape, pads
    batch, rows, columns, _ = image.shape
    blocks = _blocks(kernel[::-1, ::-1], strides)
    weights = [block.transpose(2, 0, 1, 3).reshape(channels, -1) for block in blocks.values()]
    ends = np.cumsum([weight.shape[1] for weight in weights])
    products = jnp.split(_product(image, jnp.concatenate(weights, axis=1)), ends[:-1], axis=-1)
    (a, b), placed = list(blocks)[-1], []
    for (i, j), product in zip(blocks, products, strict=True):
        within = blocks[i, j].shape[:2]
        edges = ((0, 0), (i, a - i), (j, b - j), (0, s - within[0]), (0, t - within[1]), (0, 0))
        placed.append(jnp.pad(product.reshape(batch, rows, columns, *within, features), edges))
    image = reduce(jnp.add, placed).transpose(0, 1, 3, 2, 4, 5)
    image = image.reshape(batch, (rows + a) * s, (columns + b) * t, features)
    height, width = enlarged((rows, columns), (h, w), strides, pads)
    return _placed(image, (top - h + 1, left - w + 1), (height, width))


def _side_by_side(views: list[Array]) -> Array:
    """The channels of views [B, H, W, C] one after another; stacking is faster, where all have as many channels."""
    if len({view.shape for view in views}) == 1:
        return jnp.stack(views, axis=-2).reshape(*views[0].shape[:-1], -1)
    return jnp.concatenate(views, axis=-1)


def _product(image: Array, weights: Array) -> Array:
    """[B, H, W, K] times [K, D].

    Two things make XLA copy whole images to compute the weights' gradient: several dimensions to sum over, and the wide
    factor on the left.  The barrier keeps its simplifier from turning [D, K] into the transpose of [K, D].
    """
    flat = image.reshape(-1, weights.shape[0])
    if weights.shape[0] > weights.shape[1]:
        weights = lax.optimization_barrier(weights.T).T
    return (flat @ weights).reshape(*image.shape[:-1], weights.shape[1])


def _blocks(kernel: Array, strides: Pair) -> dict[Pair, Array]:
    """The kernel in blocks of the size of the strides; those at the end may be smaller."""
    (s, t), (h, w) = strides, kernel.shape[:2]
    return {
        (i, j): kernel[i * s : (i + 1) * s, j * t : (j + 1) * t] for i in range(-(-h // s)) for j in range(-(-w // t))
    }


def _placed(image: Array, start: Pair, size: Sequence[int]) -> Array:
    """The image zero-padded or cropped to `size`, with its top left corner at `start`, which may be negative."""
    edges = [(low, n - low - m, 0) for low, n, m in zip(start, size, image.shape[1:3], strict=True)]
    return lax.pad(image, jnp.zeros((), image.dtype), ((0, 0, 0), *edges, (0, 0, 0)))


def _in_float32(operation, image: Array, kernel: Array) -> Array:
    """Sums in float32 and rounds once, as the native operation does."""
    dtype = jnp.promote_types(image.dtype, jnp.float32)
    return operation(image.astype(dtype), kernel.astype(dtype)).astype(image.dtype)


def _require_fit(image: Array, kernel: Array, strides: Pair, padding: Padding, dilation: Pair = (1, 1)) -> None:
    given = f"an image {image.dtype}{list(image.shape)} and a kernel {kernel.dtype}{list(kernel.shape)}"
    if image.ndim != 4 or kernel.ndim != 4 or image.shape[-1] != kernel.shape[2]:
        raise ValueError(f"Got {given}; expected [B, H, W, C] and [h, w, C, D].")
    if image.dtype != kernel.dtype or not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(f"Got {given}; expected one floating-point type.")
    for name, pair in (("strides", strides), ("kernel_dilation", dilation)):
        if not _is_pair(pair) or min(pair) < 1:
            raise ValueError(f"{name}={pair!r} for {given}; expected two whole numbers of at least 1.")
    if padding not in ("SAME", "VALID") and not _are_pads(padding):
        raise ValueError(
            f"padding={padding!r} for {given}; expected 'SAME', 'VALID' or ((top, bottom), (left, right))."
        )


def _is_pair(value) -> bool:
    return isinstance(value, Sequence) and len(value) == 2 and all(isinstance(number, int) for number in value)


def _are_pads(padding) -> bool:
    return isinstance(padding, Sequence) and len(padding) == 2 and all(map(_is_pair, padding))


class Conv(nn.Module):
    """A convolution layer with Linen's argument names: [B, H, W, C] to [B, H', W', features].

    On the axes of `wrap`, (rows, columns), its padding is circular.
    """

    features: int
    kernel_size: Pair
    strides: Pair = (1, 1)
    padding: Padding = "SAME"
    kernel_dilation: Pair = (1, 1)
    wrap: Wrap = NO_WRAP
    use_bias: bool = True
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, image: Array) -> Array:
        fields = "strides", "padding", "kernel_dilation", "wrap"
        return convolution_layer(self, image, partial(conv, **{name: getattr(self, name) for name in fields}))


class ConvTranspose(nn.Module):
    """A transposed convolution layer with Linen's argument names: [B, H, W, C] to [B, H', W', features].

    On the axes of `wrap`, (rows, columns), its padding is circular.
    """

    features: int
    kernel_size: Pair
    strides: Pair = (1, 1)
    padding: Padding = "SAME"
    wrap: Wrap = NO_WRAP
    use_bias: bool = True
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, image: Array) -> Array:
        options = {"strides": self.strides, "padding": self.padding, "wrap": self.wrap}
        return convolution_layer(self, image, partial(conv_transpose, **options))


def convolution_layer(layer: Any, image: Array, operation: Operation) -> Array:
    """Applies an operation of an image and a kernel with the parameters of a layer like `Conv`, and adds its bias."""
    kernel = layer.param(
        "kernel", layer.kernel_init, (*layer.kernel_size, image.shape[-1], layer.features), jnp.float32
    )
    output = operation(image.astype(layer.dtype), kernel.astype(layer.dtype))
    if layer.use_bias:
        bias = layer.param("bias", layer.bias_init, (layer.features,), jnp.float32)
        output += bias.astype(layer.dtype)
    return output
