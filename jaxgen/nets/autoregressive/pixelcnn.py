"""The gated PixelCNN.  van den Oord et al. (2016), https://arxiv.org/abs/1606.05328.

Two stacks of shifted convolutions: the vertical one sees the rows above a pixel, the horizontal one those and the
pixels to the left.  With g(a, b) = tanh(a) sigmoid(b) and * a shifted convolution, a layer is

    (1) u = W_v * v + V_v c,            v <- v + g(u)
    (2) r = W_h * h + W_u u + V_h c,    h <- h + W_o g(r)

where c is a condition; the paper's v has no residual.  A network maps images float32 [B, H, W, F] and perhaps a
condition [B, K] to distribution parameters [B, H, W, P], which depend only on the pixels before in raster order.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.shifted import Place, ShiftedConv, shift_down, shift_right, with_ones


class GatedLayer(nn.Module):
    """The layer (1) and (2), with a kernel of an odd size; the first layer has no residual."""

    width: int
    kernel_size: int
    dilation: int = 1
    is_first: bool = False
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        half = self.kernel_size // 2 + 1
        shifted = partial(ShiftedConv, 2 * self.width, dilation=self.dilation, dtype=self.dtype)
        self.vertical, self.horizontal = shifted((half, self.kernel_size), centred=True), shifted((1, half))
        self.across = Conv(2 * self.width, (1, 1), use_bias=False, dtype=self.dtype)
        self.output = Conv(self.width, (1, 1), dtype=self.dtype)
        self.conditions = [nn.Dense(2 * self.width, use_bias=False, dtype=self.dtype) for _ in range(2)]

    def down(self, above: Array, condition: Array | None, place: Place | None = None) -> tuple[Array, Array]:
        """Equation (1): the new features v, and W_u u for the horizontal stack."""
        features = self.vertical(above, place)
        if condition is not None:
            features += self.conditions[0](condition)[:, None, None]
        new = gate(features)
        return new if self.is_first else above + new, self.across(features)

    def right(self, before: Array, vertical: Array, condition: Array | None, place: Place | None = None) -> Array:
        """Equation (2): the new features h."""
        features = self.horizontal(before, place) + vertical
        if condition is not None:
            features += self.conditions[1](condition)[:, None, None]
        change = self.output(gate(features))
        return change if self.is_first else before + change


class GatedPixelCNN(nn.Module):
    """A 7x7 gated layer, one 3x3 gated layer for each of `dilations`, and two 1x1 convolutions.

    Images float32 [B, H, W, F] to `num_params` distribution parameters per pixel, float32 [B, H, W, num_params].
    """

    num_params: int
    width: int = 32
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        self.layers = [
            GatedLayer(self.width, 7, is_first=True, dtype=self.dtype),
            *(GatedLayer(self.width, 3, dilation, dtype=self.dtype) for dilation in self.dilations),
        ]
        self.hidden = Conv(2 * self.width, (1, 1), dtype=self.dtype)
        self.output = Conv(self.num_params, (1, 1), dtype=self.dtype)

    def down(self, above: Array, condition: Array | None = None, *, place: Place | None = None) -> list[Array]:
        """The vertical stack, of images shifted down or of the row above: W_u u of each layer, [B, H, W, 2D]."""
        vertical = []
        for layer in self.layers:
            above, across = layer.down(above, condition, place)
            vertical.append(across)
        return vertical

    def right(
        self, before: Array, vertical: list[Array], condition: Array | None = None, *, place: Place | None = None
    ) -> Array:
        """The distribution parameters, from images shifted right, or the pixel to the left, and the vertical stack."""
        for layer, across in zip(self.layers, vertical, strict=True):
            before = layer.right(before, across, condition, place)
        return self.output(jax.nn.relu(self.hidden(jax.nn.relu(before)))).astype(jnp.float32)

    def __call__(
        self, image: Array, condition: Array | None = None, *, train: bool, place: Place | None = None
    ) -> Array:
        image = with_ones(image)
        vertical = self.down(shift_down(image), condition, place=place)
        return self.right(shift_right(image), vertical, condition, place=place)


def gate(features: Array) -> Array:
    """tanh(a) sigmoid(b) of the two halves of the channels."""
    a, b = jnp.split(features, 2, axis=-1)
    return jnp.tanh(a) * jax.nn.sigmoid(b)
