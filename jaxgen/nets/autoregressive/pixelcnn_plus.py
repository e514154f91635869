"""PixelCNN++.  Salimans et al. (2017), https://arxiv.org/abs/1701.05517, sections 2.3 to 2.5 and figure 2.

Two streams of shifted convolutions: "down" sees the rows above a pixel, "right" those and the pixels to the left, and
takes the outputs of the first one.  Each halves its maps several times and doubles them again, with skip connections
between maps of the same size.  A block adds to its input x, with the condition c,

    (1) a sigmoid(b),    (a, b) = W_2 * e(W_1 * e(x) + V e(y)) + V_c c,    e(x) = elu of x and of -x

where y are the skip connection and the other stream's map.  Maps are doubled by a 1x1 convolution and depth to space,
where the paper has a transposed convolution.  The interface is that of `GatedPixelCNN`.
"""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.dropout import Dropout
from jaxgen.nets.layers.resizing import require_multiple
from jaxgen.nets.layers.shifted import Enlarged, Place, ShiftedConv, shift_down, shift_right, with_ones

DOWN, RIGHT = {"kernel_size": (2, 3), "centred": True}, {"kernel_size": (2, 2)}
"""The shifted convolutions of the two streams."""


class GatedBlock(nn.Module):
    """The block (1); `shape` are the options of its shifted convolutions."""

    shape: dict
    dropout: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, inputs: Array, maps: Sequence[Array], condition: Array | None, place: Place | None, *, train: bool
    ) -> Array:
        width = inputs.shape[-1]
        features = ShiftedConv(width, **self.shape, dtype=self.dtype)(elu_of_both(inputs), place)
        if maps:
            extra = elu_of_both(jnp.concatenate(maps, axis=-1))
            features += Conv(width, (1, 1), use_bias=False, dtype=self.dtype)(extra)
        features = Dropout(self.dropout)(elu_of_both(features), train=train)
        features = ShiftedConv(2 * width, **self.shape, dtype=self.dtype)(features, place)
        if condition is not None:
            features += nn.Dense(2 * width, use_bias=False, dtype=self.dtype)(condition)[:, None, None]
        a, b = jnp.split(features, 2, axis=-1)
        return inputs + a * jax.nn.sigmoid(b)


class Stream(nn.Module):
    """One stream: maps of `levels` sizes, with `blocks` gated blocks at each size on the way down and on the way up.

    Each block takes a map of the other stream, if one is given; the output lists the map after each block.
    """

    shape: dict
    width: int
    levels: int
    blocks: int
    dropout: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, inputs: Array, maps: Sequence[Array] | None, condition: Array | None, place: Place | None, *, train: bool
    ) -> list[Array]:
        others, places = iter(maps or ()), [place]

        def block(image: Array, *short_cut: Array) -> Array:
            extra = [*([other] if (other := next(others, None)) is not None else ()), *short_cut]
            return GatedBlock(self.shape, self.dropout, self.dtype)(image, extra, condition, places[-1], train=train)

        made, kept = [], [[inputs]]
        for level in range(self.levels):
            if level:
                halved = ShiftedConv(self.width, **self.shape, stride=2, dtype=self.dtype)
                kept.append([halved(kept[-1][-1], places[-1])])
                places.append(places[-1] and places[-1].coarser())
            for _ in range(self.blocks):
                kept[-1].append(block(kept[-1][-1]))
            made += kept[-1][1:]
        image = kept[-1][-1]
        for level in reversed(range(self.levels)):
            for _ in range(self.blocks):
                image = block(image, kept[level].pop())
                made.append(image)
            if level:
                places.pop()
                image = Enlarged(self.width, self.dtype)(image, places[-1])
        return made


class PixelCNNPlusPlus(nn.Module):
    """Images float32 [B, H, W, F] to distribution parameters [B, H, W, P]; sides are multiples of 2^(levels - 1)."""

    num_params: int
    width: int = 64
    levels: int = 3
    blocks: int = 2
    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        sizes = self.width, self.levels, self.blocks, self.dropout, self.dtype
        self.down_stream, self.right_stream = Stream(DOWN, *sizes), Stream(RIGHT, *sizes)
        first = partial(ShiftedConv, self.width, dtype=self.dtype)
        self.first_down, self.first_above, self.first_right = first(**DOWN), first((1, 3), centred=True), first((2, 1))
        self.output = Conv(self.num_params, (1, 1), dtype=self.dtype)

    def down(
        self, above: Array, condition: Array | None = None, *, place: Place | None = None, train: bool = False
    ) -> list[Array]:
        """The down stream's maps, of images shifted down or of the row above."""
        maps = self.down_stream(self.first_down(above, place), None, condition, place, train=train)
        return [self.first_above(above, place), *maps]

    def right(
        self,
        before: Array,
        maps: list[Array],
        condition: Array | None = None,
        *,
        place: Place | None = None,
        train: bool = False,
    ) -> Array:
        """The distribution parameters, from images shifted right, or the pixel to the left, and the down stream."""
        first = maps[0] + self.first_right(before, place)
        last = self.right_stream(first, maps[1:], condition, place, train=train)[-1]
        return self.output(jax.nn.elu(last)).astype(jnp.float32)

    def __call__(
        self, image: Array, condition: Array | None = None, *, train: bool, place: Place | None = None
    ) -> Array:
        require_multiple(image.shape[1:3], 2 ** (self.levels - 1))
        image = with_ones(image)
        maps = self.down(shift_down(image), condition, place=place, train=train)
        return self.right(shift_right(image), maps, condition, place=place, train=train)


def elu_of_both(features: Array) -> Array:
    """ELU of the features [..., C] and of their negatives, [..., 2C]."""
    return jax.nn.elu(jnp.concatenate([features, -features], axis=-1))
