"""Convolutions that see what was before: above, or above and to the left.

They are ordinary convolutions of a shifted image, so that no weight is masked and no product wasted: Salimans et al.
(2017), https://arxiv.org/abs/1701.05517, section 2.3.  A pixel's output sees its own input; the network's input is
shifted by a row or by a pixel once.

Each is evaluated on a whole image [B, H, W, C], or on what is new of it at a place: a row [B, 1, W, C] or a pixel
[B, 1, 1, C].  It then remembers, in the collection "memory", as many rows of its input as it sees, row i in place of
row i - n.  What is asked again at the same place gives the same.
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
    """A row of an image, or with a column a pixel."""

    row: Array
    column: Array | None = None

    def coarser(self) -> "Place":
        """The same in an image of half the sides."""
        return Place(self.row // 2, None if self.column is None else self.column // 2)

    @property
    def first(self) -> Array | int:
        """Its first column."""
        return 0 if self.column is None else self.column


class ShiftedConv(nn.Module):
    """A convolution that sees rows above and its own, and columns to the left and its own; `centred`: to both sides.

    With a stride of 2 it gives a place the output of that place in the smaller image, which is made at its first pixel.
    """

    features: int
    kernel_size: tuple[int, int]
    dilation: int = 1
    centred: bool = False
    stride: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, given: Array, place: Place | None = None) -> Array:
        strides, dilations = (self.stride, self.stride), (self.dilation, self.dilation)
        conv = Conv(self.features, self.kernel_size, strides, "VALID", dilations, dtype=self.dtype)
        above, beside = (self.dilation * (size - 1) for size in self.kernel_size)
        left = beside // 2 if self.centred else beside
        batch, _, width, channels = given.shape
        if place is None:
            if self.is_mutable_collection(MEMORY) and not self.is_initializing():
                seen = batch, above + 1, width + beside, channels
                self.variable(MEMORY, "rows", jnp.zeros, seen, given.dtype)
                if self.stride > 1:
                    self.variable(MEMORY, "made", jnp.zeros, (batch, 1, width // 2, self.features), self.dtype)
            return conv(jnp.pad(given, ((0, 0), (above, 0), (left, beside - left), (0, 0))))
        rows = self.variable(MEMORY, "rows", lambda: given)
        rows.value = jax.lax.dynamic_update_slice(
            rows.value, given, (0, place.row % (above + 1), place.first + left, 0)
        )
        seen = jax.lax.dynamic_slice_in_dim(rows.value, place.first, width + beside, axis=2)
        if above:
            seen = seen[:, (place.row + 1 + jnp.arange(above + 1)) % (above + 1)]
        return conv(seen) if self.stride == 1 else self._held(conv(seen), place)

    def _held(self, output: Array, place: Place) -> Array:
        made = self.variable(MEMORY, "made", lambda: output)
        column = place.coarser().first
        before = jax.lax.dynamic_slice_in_dim(made.value, column, output.shape[2], axis=2)
        output = jnp.where((place.row % 2 == 0) & (place.first % 2 == 0), output, before)
        made.value = jax.lax.dynamic_update_slice(made.value, output, (0, 0, column, 0))
        return output


class Enlarged(nn.Module):
    """A map [B, H, W, C] in twice the size, by a dense layer and depth to space; at a place, that place of it."""

    features: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, given: Array, place: Place | None = None) -> Array:
        output = Conv(4 * self.features, (1, 1), dtype=self.dtype)(given)
        if place is None:
            return enlarge(output)
        four = output.reshape(*output.shape[:3], 2, 2, self.features)
        two = jax.lax.dynamic_index_in_dim(four, place.row % 2, axis=3, keepdims=False)
        if place.column is None:
            return two.reshape(*output.shape[:2], -1, self.features)
        return jax.lax.dynamic_index_in_dim(two, place.column % 2, axis=3, keepdims=False)


def shift_down(image: Array) -> Array:
    """The image [B, H, W, C] a row lower: zeros above, the last row lost."""
    return jnp.pad(image, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]


def shift_right(image: Array) -> Array:
    """The image [B, H, W, C] a column further: zeros to the left, the last column lost."""
    return jnp.pad(image, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]


def with_ones(image: Array) -> Array:
    """The image and a channel of ones beside it, by which it is told from what is outside."""
    return jnp.concatenate([image, jnp.ones((*image.shape[:-1], 1), image.dtype)], axis=-1)


def empty_memory(module: nn.Module, variables: Any, *given: Array) -> PyTree:
    """What a module remembers before the first row of images like `given`."""
    return module.apply(variables, *given, train=False, mutable=[MEMORY])[1][MEMORY]


def recall(module: nn.Module, variables: Any, memory: PyTree, *given: Any, method: str) -> tuple[Any, PyTree]:
    """The output of a module's method for what is new of its input, and what the module then remembers."""
    output, changed = module.apply({**variables, MEMORY: memory}, *given, method=method, mutable=[MEMORY])
    return output, changed[MEMORY]
