"""Image restoration tasks: a degraded image is the input, the image itself the target.

    task            input y = A(x) of an image x                     complete(y, m): output m made consistent with y
    denoise         x + s n, n standard normal                       m
    inpaint         k x with the mask k beside it                    k x + (1 - k) m
    colourise       w . x, grey                                      m + y - w . m
    super_resolve   the mean of each block of pixels                 m + y - A(m)
    deblur          x blurred by a Gaussian                          m

All inputs but noisy and blurred ones determine a part of the image exactly, and `complete` keeps it.  An output of 0
gives the grey image, the means of the blocks, or a grey hole: in colourisation and super-resolution the network learns
a residual.

Images are float32 [B, H, W, C] in [-1, 1].  Keys are typed [B], one for each image, so that the degradation of an image
depends on its own key alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.types import Array
from jaxgen.io.errors import InputError

Mask = Callable[[Array, int, int], Array]
"""Keys [B], a height and a width to the known pixels, bool [B, H, W, 1]."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue: ITU-R BT.601."""


class Task(NamedTuple):
    """A restoration task as pure functions of a batch.

    `degrade` takes keys [B] and images to inputs [B, H, W, C'], whose first channels can be displayed.  `observation`
    takes images that are already degraded, and their known pixels, bool [B, H, W, 1], to such inputs.  `complete` takes
    inputs and a network's outputs [B, H, W, C] to images that are consistent with the inputs.  `baseline` takes inputs
    to images without a network.
    """

    degrade: Callable[[Array, Array], Array]
    observation: Callable[[Array, Array], Array]
    complete: Callable[[Array, Array], Array]
    baseline: Callable[[Array], Array]


def denoise(deviation: float = 0.5) -> Task:
    """Denoising: Gaussian noise with a standard deviation (black to white is 2).  The baseline is the noisy image.

    Raises:
      ValueError: the deviation is not above 0.
    """
    if not deviation > 0:
        raise ValueError(f"denoise was given a deviation of {deviation}; expected one above 0.")

    def degrade(keys: Array, images: Array) -> Array:
        return images + deviation * jax.vmap(lambda key: jax.random.normal(key, images.shape[1:]))(keys)

    return Task(
        degrade,
        observation=lambda images, known: images,  # noqa: ARG005
        complete=lambda inputs, made: made,  # noqa: ARG005
        baseline=lambda inputs: inputs,
    )


def inpaint(mask: Mask) -> Task:
    """Inpainting: inputs are 0 where a mask hides the image; their last channel is 1 where pixels are known.

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
    """The input [B, H, W, C + 1] of `inpaint`: images set to 0 where they are unknown, and the mask.

    Raises:
      InputError: the mask is not [B, H, W, 1].
    """
    if known.shape != (*images.shape[:3], 1):
        shape, expected = list(known.shape), [*images.shape[:3], 1]
        raise InputError(f"The mask is {shape}; expected {expected}, a value for each pixel of the images.")
    return jnp.concatenate([jnp.where(known, images, 0.0), known.astype(images.dtype)], axis=-1)


def random_block(least: float = 0.3, most: float = 0.6) -> Mask:
    """Hides a random block, with sides from `least` to `most` of the image's.

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
    """Hides the upper, the lower, the left or the right half, at random."""

    def known(key: Array, height: int, width: int) -> Array:
        upper = jnp.broadcast_to(jnp.arange(height)[:, None] < height // 2, (height, width))
        left = jnp.broadcast_to(jnp.arange(width) < width // 2, (height, width))
        return jnp.stack([~upper, upper, ~left, left])[jax.random.randint(key, (), 0, 4), ..., None]

    return lambda keys, height, width: jax.vmap(lambda key: known(key, height, width))(keys)


def fixed_mask(known: np.ndarray) -> Mask:
    """The same mask for every image: pixels are known where an array [H, W] is not 0.

    The mask raises:
      InputError: images of another size.
    """

    def mask(keys: Array, height: int, width: int) -> Array:
        if np.shape(known) != (height, width):
            shape = "x".join(map(str, np.shape(known)))
            raise InputError(f"The mask is {shape}, the images are {height}x{width}; expected one size.")
        return jnp.broadcast_to(jnp.asarray(known, bool)[..., None], (len(keys), height, width, 1))

    return mask


def colourise() -> Task:
    """Colourisation of grey images [B, H, W, 1], keeping their luma.  The baseline is grey."""

    def degrade(keys: Array, images: Array) -> Array:  # noqa: ARG001
        if images.shape[-1] != 3:
            raise InputError(f"Only images of 3 channels can be colourised; these have {images.shape[-1]}.")
        return luma(images)

    return Task(
        degrade,
        observation=lambda images, known: luma(images),  # noqa: ARG005
        complete=lambda inputs, made: made + inputs - luma(made),
        baseline=lambda inputs: jnp.broadcast_to(inputs, (*inputs.shape[:3], 3)),
    )


def luma(images: Array) -> Array:
    """The luma [B, H, W, 1] of colours [B, H, W, 3]."""
    return (images * jnp.array(LUMA)).sum(-1, keepdims=True)


def super_resolve(factor: int) -> Task:
    """Super-resolution of images whose blocks of `factor` x `factor` pixels are averaged.

    The input has the full size: a smaller image has its pixels repeated.  The baseline is bicubic interpolation of the
    smaller image.

    Raises:
      ValueError: a factor below 2.
    """
    if factor < 2:
        raise ValueError(f"super_resolve was given a factor of {factor}; expected at least 2.")

    def baseline(inputs: Array) -> Array:
        return jax.image.resize(inputs[:, ::factor, ::factor], inputs.shape, "cubic")

    return Task(
        degrade=lambda keys, images: block_means(images, factor),  # noqa: ARG005
        observation=lambda images, known: block_means(images, factor),  # noqa: ARG005
        complete=lambda inputs, made: made + inputs - block_means(made, factor),
        baseline=baseline,
    )


def deblur(deviation: float) -> Task:
    """Deblurring: a Gaussian with a standard deviation in pixels.  The baseline is the blurred image.

    Raises:
      ValueError: the deviation is not above 0.
    """
    if not deviation > 0:
        raise ValueError(f"deblur was given a deviation of {deviation}; expected one above 0.")
    return Task(
        degrade=lambda keys, images: blurred(images, deviation),  # noqa: ARG005
        observation=lambda images, known: images,  # noqa: ARG005
        complete=lambda inputs, made: made,  # noqa: ARG005
        baseline=lambda inputs: inputs,
    )


def block_means(images: Array, factor: int) -> Array:
    """Replaces each pixel by the mean of its block of `factor` x `factor` pixels.

    Raises:
      InputError: the factor does not divide the sides.
    """
    batch, height, width, channels = images.shape
    if height % factor or width % factor:
        raise InputError(f"A factor of {factor} does not divide images of {height}x{width}.")
    blocks = images.reshape(batch, height // factor, factor, width // factor, factor, channels)
    return jnp.broadcast_to(blocks.mean((2, 4), keepdims=True), blocks.shape).reshape(images.shape)


def blurred(images: Array, deviation: float) -> Array:
    """Images blurred by a Gaussian with a standard deviation in pixels, their edges repeated: a linear function."""
    rows, columns = (jnp.asarray(_blur(side, deviation), jnp.float32) for side in images.shape[1:3])
    return jnp.einsum("ij,bjkc,lk->bilc", rows, images, columns)


def _blur(side: int, deviation: float) -> np.ndarray:
    """The matrix [side, side] that blurs a line of pixels."""
    offsets = np.arange(-int(4 * deviation) - 1, int(4 * deviation) + 2)
    weights, places = np.exp(-np.square(offsets / deviation) / 2), np.arange(side)
    matrix = np.zeros((side, side))
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        np.add.at(matrix, (places, np.clip(places + offset, 0, side - 1)), weight)
    return matrix
