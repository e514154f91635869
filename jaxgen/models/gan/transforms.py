"""Random transforms of images, for data whose labels they preserve."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.batch import draw_batch
from jaxgen.core.types import Array

Transform = Callable[[Array, Array], Array]
"""A key and an image [H, W, C] to an image, both float32, or both uint8 for `augment`."""


def change_colour(key: Array, image: Array) -> Array:
    """Shifts brightness by up to 1/4 of the range, scales saturation by 0 to 2 and contrast by 1/2 to 3/2."""
    brightness, saturation, contrast = jax.random.split(key, 3)
    image += jax.random.uniform(brightness, minval=-0.5, maxval=0.5)
    grey = image.mean(-1, keepdims=True)
    image = grey + 2 * jax.random.uniform(saturation) * (image - grey)
    return image.mean() + jax.random.uniform(contrast, minval=0.5, maxval=1.5) * (image - image.mean())


def translate(key: Array, image: Array) -> Array:
    """Moves the image by up to an eighth of each side and pads it with 0."""
    height, width, _ = image.shape
    most = jnp.array([(height + 4) // 8, (width + 4) // 8])
    offset = jax.random.randint(key, (2,), -most, most + 1)
    padded = jnp.pad(image, ((height // 4, height // 4), (width // 4, width // 4), (0, 0)))
    start = jnp.array([height // 4, width // 4]) - offset
    return jax.lax.dynamic_slice(padded, (*start, 0), image.shape)


def cut_out(key: Array, image: Array) -> Array:
    """Sets a square of half the image's sides, centred anywhere, to 0."""
    sides = jnp.array(image.shape[:2])
    centre = jax.random.randint(key, (2,), 0, sides + 1)
    near = [jnp.abs(jnp.arange(n) - c + 0.5) < n / 4 for n, c in zip(image.shape[:2], centre, strict=True)]
    return jnp.where((near[0][:, None] & near[1])[..., None], 0.0, image)


def mirror(key: Array, image: Array) -> Array:
    """Flips the image horizontally with probability 1/2."""
    return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)


def transformed(transforms: tuple[Transform, ...], key: Array, images: Array, probability: Array) -> Array:
    """Images [B, H, W, C]; each transform applies to each image independently with a probability []."""
    keys = draw_batch(jax.random.split, key, images.shape[:1])

    def one(key: Array, image: Array) -> Array:
        for transform, own in zip(transforms, jax.random.split(key, len(transforms)), strict=True):
            chance, draw = jax.random.split(own)
            image = jnp.where(jax.random.uniform(chance) < probability, transform(draw, image), image)
        return image

    return jax.vmap(one)(keys, images)
