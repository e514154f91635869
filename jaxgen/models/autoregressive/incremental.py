"""Autoregressive sampling in raster order, a pixel at a time.

    draw_incrementally    each layer computes only the new row or pixel and caches what its kernel sees
    draw_naively          the whole network for each pixel

Both give the same images.  The cost per pixel of the first does not depend on the image's size; the second is for
networks without the methods `down` and `right` and the argument `place` of `jaxgen.nets.GatedPixelCNN`, and for
comparison.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array, Variables
from jaxgen.nets import Module, Place, empty_memory, forward, recall, with_ones


class Canvas(NamedTuple):
    """The pixels of `image` [B, H, W, C] to draw: those not `known` (bool [H, W]), each image from a key of its own.

    `show` takes pixels to a network's inputs [..., F].  `choose` takes a key and a pixel's distribution parameters
    [1, 1, P] to the pixel [1, 1, C]; `mix` transforms the parameters [B, 1, 1, P] of all images before that.
    """

    image: Array
    known: Array
    keys: Array
    show: Callable[[Array], Array]
    choose: Callable[[Array, Array], Array]
    mix: Callable[[Array], Array] = lambda dist_params: dist_params

    def pixel(self, dist_params: Array, row: Array, column: Array) -> Array:
        """The pixel [B, 1, 1, C] at a place, from its distribution parameters [B, 1, 1, P]."""
        own = jax.vmap(lambda key: jax.random.fold_in(key, row * self.image.shape[2] + column))(self.keys)
        known = _at(self.image, row, column)
        return jnp.where(self.known[row, column], known, jax.vmap(self.choose)(own, self.mix(dist_params)))


class Draw(Protocol):
    """A way to draw the pixels of a canvas."""

    def __call__(self, network: Module, variables: Variables, canvas: Canvas, /, *condition: Array) -> Array:
        """Images [B, H, W, C] of a network, its variables, a canvas and the conditioning inputs."""
        ...


def draw_incrementally(network: Module, variables: Variables, canvas: Canvas, *condition: Array) -> Array:
    """Draws images incrementally: the cost of a pixel does not depend on the size of the image."""
    _, height, width, _ = canvas.image.shape
    black = jnp.zeros_like(with_ones(canvas.show(canvas.image[:, :1])))

    def draw_row(carry, row):
        memory, above = carry
        down, memory = recall(network, variables, memory, above, *condition, place=Place(row), method="down")

        def draw_pixel(carry, column):
            memory, before = carry
            here = [_at(features, 0, column // (width // features.shape[2])) for features in down]
            inputs, place = (before, here, *condition), Place(row, column)
            dist_params, memory = recall(network, variables, memory, *inputs, place=place, method="right")
            pixel = canvas.pixel(dist_params, row, column)
            return (memory, with_ones(canvas.show(pixel))), pixel[:, 0, 0]

        (memory, _), pixels = jax.lax.scan(draw_pixel, (memory, black[:, :, :1]), jnp.arange(width))
        pixels = jnp.moveaxis(pixels, 0, 1)
        return (memory, with_ones(canvas.show(pixels[:, None]))), pixels

    start = empty_memory(network, variables, canvas.show(canvas.image), *condition)
    _, rows = jax.lax.scan(draw_row, (start, black), jnp.arange(height))
    return jnp.moveaxis(rows, 0, 1)


def draw_naively(network: Module, variables: Variables, canvas: Canvas, *condition: Array) -> Array:
    """Draws images by evaluating the network on the whole image for each pixel."""
    _, height, width, _ = canvas.image.shape

    def draw_pixel(image, place):
        row, column = jnp.divmod(place, width)
        dist_params, _ = forward(network, variables, canvas.show(image), *condition, train=False)
        pixel = canvas.pixel(_at(dist_params, row, column), row, column)
        return jax.lax.dynamic_update_slice(image, pixel, (0, row, column, 0)), None

    return jax.lax.scan(draw_pixel, canvas.image, jnp.arange(height * width))[0]


def _at(array: Array, row: Array | int, column: Array) -> Array:
    """The pixel [B, 1, 1, C] of [B, H, W, C]."""
    return jax.lax.dynamic_slice_in_dim(jax.lax.dynamic_slice_in_dim(array, row, 1, axis=1), column, 1, axis=2)
