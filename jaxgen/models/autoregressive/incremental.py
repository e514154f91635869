"""Images drawn a pixel at a time, in reading order.

    draw_incrementally    each layer computes what is new, a row or a pixel, and remembers what it needs of the old
    draw_naively          the whole network for each pixel

Both give the same images; the first costs as much a pixel however large the image is, the second is for networks that
have no methods `down` and `right`, as `jaxgen.nets.GatedPixelCNN` has them, and for comparison.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array, Variables
from jaxgen.nets import Module, Place, empty_memory, forward, recall, with_ones


class Canvas(NamedTuple):
    """What is drawn: pixels of `image` [B, H, W, C] that are not `known` (bool [H, W]), each by keys [B] of its own.

    `show` makes what a network is shown of pixels, [..., F]; `choose` takes a key and a pixel's numbers [1, 1, P] to
    the pixel [1, 1, C].  `mix` changes the numbers [B, 1, 1, P] of all images before that.
    """

    image: Array
    known: Array
    keys: Array
    show: Callable[[Array], Array]
    choose: Callable[[Array, Array], Array]
    mix: Callable[[Array], Array] = lambda dist_params: dist_params

    def pixel(self, dist_params: Array, row: Array, column: Array) -> Array:
        """The pixel [B, 1, 1, C] at a place, given its numbers [B, 1, 1, P]."""
        own = jax.vmap(lambda key: jax.random.fold_in(key, row * self.image.shape[2] + column))(self.keys)
        given = _at(self.image, row, column)
        return jnp.where(self.known[row, column], given, jax.vmap(self.choose)(own, self.mix(dist_params)))


Draw = Callable[..., Array]
"""A network, its variables, a canvas and the condition [B, F] if there is one to images [B, H, W, C]."""


def draw_incrementally(network: Module, variables: Variables, canvas: Canvas, *condition: Array) -> Array:
    """The image, each pixel at the cost of one."""
    told = condition[0] if condition else None
    _, height, width, _ = canvas.image.shape
    black = jnp.zeros_like(with_ones(canvas.show(canvas.image[:, :1])))

    def draw_row(carry, row):
        memory, above = carry
        down, memory = recall(network, variables, memory, above, told, Place(row), method="down")

        def draw_pixel(carry, column):
            memory, before = carry
            here = [_at(features, 0, column // (width // features.shape[2])) for features in down]
            dist_params, memory = recall(
                network, variables, memory, before, here, told, Place(row, column), method="right"
            )
            pixel = canvas.pixel(dist_params, row, column)
            return (memory, with_ones(canvas.show(pixel))), pixel[:, 0, 0]

        (memory, _), pixels = jax.lax.scan(draw_pixel, (memory, black[:, :, :1]), jnp.arange(width))
        pixels = jnp.moveaxis(pixels, 0, 1)
        return (memory, with_ones(canvas.show(pixels[:, None]))), pixels

    start = empty_memory(network, variables, canvas.show(canvas.image), *condition)
    _, rows = jax.lax.scan(draw_row, (start, black), jnp.arange(height))
    return jnp.moveaxis(rows, 0, 1)


def draw_naively(network: Module, variables: Variables, canvas: Canvas, *condition: Array) -> Array:
    """The image, each pixel at the cost of all."""
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
