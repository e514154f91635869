"""Causal convolutions, which see the rows above, or those and the columns to the left.

They are ordinary convolutions of a shifted image, so that no weight is masked and no product wasted: Salimans et al.
(2017), https://arxiv.org/abs/1701.05517, section 2.3.  A pixel's output sees its own input; the network's input is
shifted once, by a row or by a pixel.

A layer is evaluated on a whole image [B, H, W, C], or incrementally at a place: on a row [B, 1, W, C] or on a pixel
[B, 1, 1, C].  For that the collection "memory" caches the n rows of input that the kernel sees in a ring buffer: row i
replaces row i - n.  The place `EVERYWHERE` evaluates a whole image and allocates the cache.  Evaluating a place again
gives the same output.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array, PyTree
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.resizing import enlarge

MEMORY = "memory"


class Place(NamedTuple):
    """A row of an image, or with a column a pixel; without either the whole image, for which the cache is allocated."""

    row: Array | None = None
    column: Array | None = None

    def coarser(self) -> "Place":
        """The same place in an image of half the sides."""
        return Place(*(None if index is None else index // 2 for index in self))

    @property
    def first(self) -> Array | int:
        """The first column."""
        return 0 if self.column is None else self.column


EVERYWHERE = Place()
"""The whole image; layers that are evaluated here allocate their cache."""


class ShiftedConv(nn.Module):
    """A convolution whose kernel ends at the pixel's row and column; with `centred` its columns are centred on it.

    With a stride of 2 the output at a place is that of the place in the smaller image, computed at its first pixel.
    """

    features: int
    kernel_size: tuple[int, int]
    dilation: int = 1
    centred: bool = False
    stride: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, inputs: Array, place: Place | None = None) -> Array:
        strides, dilations = (self.stride, self.stride), (self.dilation, self.dilation)
        conv = Conv(self.features, self.kernel_size, strides, "VALID", dilations, dtype=self.dtype)
        above, beside = (self.dilation * (size - 1) for size in self.kernel_size)
        left = beside // 2 if self.centred else beside
        batch, _, width, channels = inputs.shape
        if place is None or (row := place.row) is None:
            if place is not None:
                seen = batch, above + 1, width + beside, channels
                self.variable(MEMORY, "rows", jnp.zeros, seen, inputs.dtype)
                if self.stride > 1:
                    self.variable(MEMORY, "made", jnp.zeros, (batch, 1, width // 2, self.features), self.dtype)
            return conv(jnp.pad(inputs, ((0, 0), (above, 0), (left, beside - left), (0, 0))))
        rows = self.variable(MEMORY, "rows", lambda: inputs)
        rows.value = jax.lax.dynamic_update_slice(rows.value, inputs, (0, row % (above + 1), place.first + left, 0))
        seen = jax.lax.dynamic_slice_in_dim(rows.value, place.first, width + beside, axis=2)
        if above:
            seen = seen[:, (row + 1 + jnp.arange(above + 1)) % (above + 1)]
        return conv(seen) if self.stride == 1 else self._held(conv(seen), row, place.first)

    def _held(self, output: Array, row: Array, column: Array | int) -> Array:
        made = self.variable(MEMORY, "made", lambda: output)
        before = jax.lax.dynamic_slice_in_dim(made.value, column // 2, output.shape[2], axis=2)
        output = jnp.where((row % 2 == 0) & (column % 2 == 0), output, before)
        made.value = jax.lax.dynamic_update_slice(made.value, output, (0, 0, column // 2, 0))
        return output


class Enlarged(nn.Module):
    """Upsamples a map [B, H, W, C] by a dense layer and depth to space; at a place, only that place of the output."""

    features: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, inputs: Array, place: Place | None = None) -> Array:
        output = Conv(4 * self.features, (1, 1), dtype=self.dtype)(inputs)
        if place is None or place.row is None:
            return enlarge(output)
        four = output.reshape(*output.shape[:3], 2, 2, self.features)
        two = jax.lax.dynamic_index_in_dim(four, place.row % 2, axis=3, keepdims=False)
        if place.column is None:
            return two.reshape(*output.shape[:2], -1, self.features)
        return jax.lax.dynamic_index_in_dim(two, place.column % 2, axis=3, keepdims=False)


def shift_down(image: Array) -> Array:
    """The image [B, H, W, C] shifted down by a row, with zeros above."""
    return jnp.pad(image, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]


def shift_right(image: Array) -> Array:
    """The image [B, H, W, C] shifted right by a column, with zeros to the left."""
    return jnp.pad(image, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]


def with_ones(image: Array) -> Array:
    """The image with a channel of ones, which distinguishes it from the padding around it."""
    return jnp.concatenate([image, jnp.ones((*image.shape[:-1], 1), image.dtype)], axis=-1)


def empty_memory(module: nn.Module, variables: Any, *inputs: Array) -> PyTree:
    """The empty cache of an autoregressive network for inputs like these."""
    return module.apply(variables, *inputs, train=False, place=EVERYWHERE, mutable=[MEMORY])[1][MEMORY]


def recall(
    module: nn.Module, variables: Any, memory: PyTree, *inputs: Any, place: Place, method: str
) -> tuple[Any, PyTree]:
    """The output of a module's method at a place, and the updated cache."""
    variables = {**variables, MEMORY: memory}
    output, changed = module.apply(variables, *inputs, place=place, method=method, mutable=[MEMORY])
    return output, changed[MEMORY]
