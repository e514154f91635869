"""Augmentation of the training images inside the step: random transforms, uint8 to uint8, for every family.

The networks learn the distribution of the transformed images, and models draw from it ("leak"): mirrored letters, or
turned faces.  Only transforms under which the data's own distribution does not change cost nothing.  A discriminator
whose augmentation is adaptive, `adaptive_augment`, does not leak: Karras et al. (2020),
https://arxiv.org/abs/2006.06676.

A transform takes a key and an image uint8 [H, W, C] to an image of the same shape; `mirror` is one too.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.image import to_float, to_uint8
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Context, Networks, OptState, Update
from jaxgen.models.gan.transforms import Transform, change_colour, transformed

STREAM = "augmented images"
"""No link of a chain can have this name, and with it the same key."""


def augment(update: Update, *transforms: Transform) -> Update:
    """The update on batches whose `image`, uint8 [B, H, W, C], goes through the transforms one after another.

    No other random draw changes, and the images do not depend on the number of devices.
    """
    if not transforms:
        return update

    def augmented(networks: Networks, opt_state: OptState, context: Context):
        key, images = stream(context, STREAM).key, context.batch["image"]
        batch = {**context.batch, "image": transformed(transforms, key, images, jnp.ones(()))}
        return update.update(networks, opt_state, context._replace(batch=batch))

    return update._replace(update=augmented)


def crop(key: Array, image: Array) -> Array:
    """A random window of 7/8 to all of the sides, resized to the image's size by linear interpolation.

    The random crops of Szegedy et al. (2015), https://arxiv.org/abs/1409.4842, section 6, with a small margin.
    """
    side, place = jax.random.split(key)
    share = jax.random.uniform(side, minval=7 / 8, maxval=1.0)
    start = jax.random.uniform(place, (2,)) * (1 - share) * jnp.array(image.shape[:2])
    scale = jnp.full(2, 1 / share)
    window = jax.image.scale_and_translate(
        to_float(image), image.shape, (0, 1), scale, -start * scale, "linear", antialias=False
    )
    return to_uint8(window)


def shift(key: Array, image: Array) -> Array:
    """Moves the image by up to a sixteenth of each side (at least a pixel) and repeats its edge pixels."""
    sides = jnp.array(image.shape[:2])
    most = jnp.maximum(1, (sides + 8) // 16)
    offset = jax.random.randint(key, (2,), -most, most + 1)
    rows, columns = (jnp.clip(jnp.arange(n) - o, 0, n - 1) for n, o in zip(image.shape[:2], offset, strict=True))
    return image[rows[:, None], columns]


def turn(key: Array, image: Array) -> Array:
    """Turns a square image by a multiple of 90 degrees.

    Raises:
      ValueError: the image is not square.
    """
    if image.shape[0] != image.shape[1]:
        raise ValueError(f"turn was given an image of {image.shape[0]}x{image.shape[1]}; expected a square.")
    turns = [lambda image, k=k: jnp.rot90(image, k) for k in range(4)]
    return jax.lax.switch(jax.random.randint(key, (), 0, 4), turns, image)


def jitter_colour(key: Array, image: Array) -> Array:
    """A quarter of the way to `change_colour`: brightness by up to 1/16 of the range, contrast by up to 1/8.

    Saturation, which a grey image does not have, changes by a factor of 3/4 to 3/2.
    """
    values = to_float(image)
    return to_uint8(values + (change_colour(key, values) - values) / 4)
