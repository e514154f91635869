"""What an image-to-image network is asked: an input made of an image, of which the image is the truth.

    task            input y = A(x) of an image x                     complete(y, m): m made to agree with y
    denoise         x + s n, n standard normal                       m
    inpaint         k x with the mask k beside it                    k x + (1 - k) m
    colourise       w . x, grey                                      m + y - w . m
    super_resolve   the mean of each block of pixels                 m + y - A(m)

All but noise say something of the image exactly, and keep it: a network that makes 0 gives back the grey image, the
blocks, or a grey hole, and learns the rest.

Images are float32 [B, H, W, C] in [-1, 1], keys typed [B], one an image, so that what becomes of an image depends on
its own key alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.types import Array
from jaxgen.io.errors import InputError

Mask = Callable[[Array, int, int], Array]
"""Keys [B], a height and a width to what is known, bool [B, H, W, 1]."""

LUMA = (0.299, 0.587, 0.114)
"""How much of grey is red, green and blue: ITU-R BT.601."""


class Task(NamedTuple):
    """What a network is asked, as pure functions on a batch.

    `degrade` takes keys [B] and images to inputs [B, H, W, C'], whose first channels can be shown.  `given` takes
    images that something has been done to already, and where they are known, bool [B, H, W, 1], to such inputs.
    `complete` takes inputs and what a network made of them, [B, H, W, C], to images that agree with the inputs.
    `baseline` takes inputs to images without a network.
    """

    degrade: Callable[[Array, Array], Array]
    given: Callable[[Array, Array], Array]
    complete: Callable[[Array, Array], Array]
    baseline: Callable[[Array], Array]


def denoise(deviation: float = 0.5) -> Task:
    """Remove normal noise of a standard deviation (black to white is 2).  The baseline is the noisy image.

    Raises:
      ValueError: the deviation is not above 0.
    """
    if not deviation > 0:
        raise ValueError(f"denoise was given a deviation of {deviation}; expected one above 0.")

    def degrade(keys: Array, images: Array) -> Array:
        return images + deviation * jax.vmap(lambda key: jax.random.normal(key, images.shape[1:]))(keys)

    return Task(
        degrade,
        given=lambda images, known: images,  # noqa: ARG005
        complete=lambda inputs, made: made,  # noqa: ARG005
        baseline=lambda inputs: inputs,
    )


def inpaint(mask: Mask) -> Task:
    """Fill in what a mask hides: inputs have 0 there, and a last channel that is 1 where pixels are known.

    The baseline is the mean of each channel's known pixels.
    """

    def degrade(keys: Array, images: Array) -> Array:
        return masked(images, mask(keys, *images.shape[1:3]))

    def complete(inputs: Array, made: Array) -> Array:
        return jnp.where(inputs[..., -1:] > 0, inputs[..., :-1], made)

    def baseline(inputs: Array) -> Array:
        count = jnp.maximum(inputs[..., -1:].sum((1, 2), keepdims=True), 1)
        return complete(inputs, inputs[..., :-1].sum((1, 2), keepdims=True) / count)

    return Task(degrade, masked, complete, baseline)


def masked(images: Array, known: Array) -> Array:
    """The input [B, H, W, C + 1] of `inpaint`: images with 0 where they are not known, and the mask.

    Raises:
      InputError: the mask is not [B, H, W, 1].
    """
    if known.shape != (*images.shape[:3], 1):
        given, expected = list(known.shape), [*images.shape[:3], 1]
        raise InputError(f"The mask is {given}; expected {expected}, a value for each pixel of the images.")
    return jnp.concatenate([jnp.where(known, images, 0.0), known.astype(images.dtype)], axis=-1)


def random_block(least: float = 0.3, most: float = 0.6) -> Mask:
    """Hides a block anywhere, with sides from `least` to `most` of the image's.

    Raises:
      ValueError: shares that are not between 0 and 1, or not in order.
    """
    if not 0 < least <= most <= 1:
        raise ValueError(f"random_block was given sides from {least} to {most}; expected 0 < least <= most <= 1.")

    def known(key: Array, height: int, width: int) -> Array:
        size, place = jax.random.split(key)
        whole = jnp.array([height, width])
        sides = jnp.round(jax.random.uniform(size, (2,), minval=least, maxval=most) * whole).astype(jnp.int32)
        start = jax.random.randint(place, (2,), 0, whole - sides + 1)
        rows, columns = (
            (jnp.arange(n) >= low) & (jnp.arange(n) < low + side)
            for n, low, side in zip((height, width), start, sides, strict=True)
        )
        return ~(rows[:, None] & columns)[..., None]

    return lambda keys, height, width: jax.vmap(lambda key: known(key, height, width))(keys)


def random_half() -> Mask:
    """Hides the upper, the lower, the left or the right half."""

    def known(key: Array, height: int, width: int) -> Array:
        upper = jnp.broadcast_to(jnp.arange(height)[:, None] < height // 2, (height, width))
        left = jnp.broadcast_to(jnp.arange(width) < width // 2, (height, width))
        return jnp.stack([~upper, upper, ~left, left])[jax.random.randint(key, (), 0, 4), ..., None]

    return lambda keys, height, width: jax.vmap(lambda key: known(key, height, width))(keys)


def fixed_mask(known: np.ndarray) -> Mask:
    """Of every image the pixels are known where an array [H, W] is not 0.

    The mask raises:
      InputError: images of another size.
    """

    def mask(keys: Array, height: int, width: int) -> Array:
        if np.shape(known) != (height, width):
            given = "x".join(map(str, np.shape(known)))
            raise InputError(f"The mask is {given}, the images are {height}x{width}; expected one size.")
        return jnp.broadcast_to(jnp.asarray(known, bool)[..., None], (len(keys), height, width, 1))

    return mask


def colourise() -> Task:
    """Give a grey image [B, H, W, 1] its colours, of the same luma.  The baseline is grey."""

    def degrade(keys: Array, images: Array) -> Array:  # noqa: ARG001
        if images.shape[-1] != 3:
            raise InputError(f"Only images of 3 channels can be colourised; these have {images.shape[-1]}.")
        return luma(images)

    return Task(
        degrade,
        given=lambda images, known: luma(images),  # noqa: ARG005
        complete=lambda inputs, made: made + inputs - luma(made),
        baseline=lambda inputs: jnp.broadcast_to(inputs, (*inputs.shape[:3], 3)),
    )


def luma(images: Array) -> Array:
    """The grey [B, H, W, 1] of colours [B, H, W, 3]."""
    return (images * jnp.array(LUMA)).sum(-1, keepdims=True)


def super_resolve(factor: int) -> Task:
    """Sharpen an image of which each block of `factor` x `factor` pixels has its mean.

    The input is of the full size; one of a smaller image is that with each pixel repeated.  The baseline is bicubic
    interpolation of the smaller image.

    Raises:
      ValueError: a factor below 2.
    """
    if factor < 2:
        raise ValueError(f"super_resolve was given a factor of {factor}; expected at least 2.")

    def baseline(inputs: Array) -> Array:
        return jax.image.resize(inputs[:, ::factor, ::factor], inputs.shape, "cubic")

    return Task(
        degrade=lambda keys, images: block_means(images, factor),  # noqa: ARG005
        given=lambda images, known: block_means(images, factor),  # noqa: ARG005
        complete=lambda inputs, made: made + inputs - block_means(made, factor),
        baseline=baseline,
    )


def block_means(images: Array, factor: int) -> Array:
    """Each pixel as the mean of its block of `factor` x `factor` pixels.

    Raises:
      InputError: the factor does not divide the sides.
    """
    batch, height, width, channels = images.shape
    if height % factor or width % factor:
        raise InputError(f"A factor of {factor} does not divide images of {height}x{width}.")
    blocks = images.reshape(batch, height // factor, factor, width // factor, factor, channels)
    return jnp.broadcast_to(blocks.mean((2, 4), keepdims=True), blocks.shape).reshape(images.shape)
