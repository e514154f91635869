"""Maps [B, H, W, C] of half or twice the size, and the sizes of images that can be halved."""

from collections.abc import Sequence
from functools import partial

import jax.numpy as jnp
from jax import lax

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.io.errors import InputError
from jaxgen.nets.layers.conv import LAYOUT, conv

SIDES = (*range(28, 128, 4), *range(128, 513, 16))
"""The sides of images that these networks draw."""


def upsample(image: Array) -> Array:
    """Each pixel twice in both directions: [B, H, W, C] to [B, 2H, 2W, C]."""
    # Not by jnp.repeat: it gathers, and on a CPU the gradient of that takes far longer than a sum over an axis.
    batch, height, width, channels = image.shape
    image = jnp.broadcast_to(image[:, :, None, :, None], (batch, height, 2, width, 2, channels))
    return image.reshape(batch, 2 * height, 2 * width, channels)


def max_pool(image: Array) -> Array:
    """The largest of each two by two pixels: [B, 2H, 2W, C] to [B, H, W, C]."""
    # Not by nn.max_pool: on a CPU the gradient of windows takes far longer than that of a maximum over axes.
    batch, height, width, channels = image.shape
    four = image.reshape(batch, height // 2, 2, width // 2, 2, channels)
    # The gradient of `max` divides by the number of values that equal it, which is 0 where a compiled program computes
    # them again and rounds differently; that of `maximum` only compares.
    return jnp.maximum(
        jnp.maximum(four[:, :, 0, :, 0], four[:, :, 0, :, 1]), jnp.maximum(four[:, :, 1, :, 0], four[:, :, 1, :, 1])
    )


def mean_pool(image: Array) -> Array:
    """The mean of each two by two pixels: [B, 2H, 2W, C] to [B, H, W, C]."""
    batch, height, width, channels = image.shape
    return image.reshape(batch, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def enlarge(image: Array) -> Array:
    """Depth to space: [B, H, W, 4C] to [B, 2H, 2W, C]."""
    batch, height, width, channels = image.shape
    image = image.reshape(batch, height, width, 2, 2, channels // 4)
    return image.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, channels // 4)


def fold(image: Array) -> Array:
    """Space to depth, the inverse of `enlarge`: [B, 2H, 2W, C] to [B, H, W, 4C]."""
    batch, height, width, channels = image.shape
    image = image.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return image.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // 2, width // 2, 4 * channels)


def smooth_upsample(image: Array) -> Array:
    """Bilinear upsampling [B, H, W, C] to [B, 2H, 2W, C]: 3/4 of the nearer pixel and 1/4 of the farther one."""
    for axis in (1, 2):
        count = image.shape[axis]
        edge = [(0, 0)] * 4
        edge[axis] = (1, 1)
        padded = jnp.pad(image, edge, "edge")
        before, after = (_part(padded, axis, start, count) for start in (0, 2))
        both = jnp.stack([0.75 * image + 0.25 * before, 0.75 * image + 0.25 * after], axis=axis + 1)
        image = both.reshape(*image.shape[:axis], 2 * count, *image.shape[axis + 1 :])
    return image


def smooth_downsample(image: Array) -> Array:
    """Downsampling [B, 2H, 2W, C] to [B, H, W, C] by the filter [1, 3, 3, 1] / 8 in both directions, edges repeated."""
    for axis in (1, 2):
        count = image.shape[axis] // 2
        edge = [(0, 0)] * 4
        edge[axis] = (1, 1)
        padded = jnp.pad(image, edge, "edge")
        shape = (*image.shape[:axis], count + 1, 2, *image.shape[axis + 1 :])
        pairs = padded.reshape(shape)  # (-1, 0), (1, 2), ...
        left, right = _part(pairs, axis, 0, count), _part(pairs, axis, 1, count)
        weights = jnp.array([1.0, 3.0], image.dtype) / 8
        turned = (2,) + (1,) * (image.ndim - axis - 1)
        image = (left * weights.reshape(turned)).sum(axis + 1) + (right * weights[::-1].reshape(turned)).sum(axis + 1)
    return image


def grouped_conv(image: Array, kernel: Array, groups: int) -> Array:
    """A grouped convolution: each of `groups` groups of channels sees only itself; kernel [h, w, C / groups, D].

    The size stays.  On CPU the groups are the batch of one matrix product: XLA's CPU back end has no fast path for the
    weight gradients of grouped convolutions.  GPU and TPU keep the native operation.
    """
    if groups == 1:
        return conv(image, kernel)

    def native(image: Array, kernel: Array) -> Array:
        return lax.conv_general_dilated(
            image, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT, feature_group_count=groups
        )

    product = partial(_grouped_product, groups=groups)
    return lax.platform_dependent(image, kernel, cpu=product, default=native)


def _grouped_product(image: Array, kernel: Array, *, groups: int) -> Array:
    height, width, channels, features = kernel.shape
    batch, rows, columns, _ = image.shape
    pads = [(0, 0), *(((size - 1) // 2, size // 2) for size in (height, width)), (0, 0)]
    padded = jnp.pad(image, pads).reshape(batch, rows + height - 1, columns + width - 1, groups, channels)
    views = [padded[:, i : i + rows, j : j + columns] for i in range(height) for j in range(width)]
    flat = jnp.stack(views, axis=-2).reshape(-1, groups, height * width * channels)
    weights = kernel.reshape(height * width * channels, groups, features // groups)
    return jnp.einsum("ngk,kgd->ngd", flat, weights).reshape(batch, rows, columns, features)


def _part(array: Array, axis: int, start: int, count: int) -> Array:
    return array[(slice(None),) * axis + (slice(start, start + count),)]


def halvings(spec: ImageSpec) -> int:
    """The number of times that an image is halved.

    Raises:
      InputError: a side is not a multiple of 4 from 28 to 128 or a multiple of 16 up to 512, or the channels are not 1
        or 3.

    >>> halvings(ImageSpec(28, 28, 1)), halvings(ImageSpec(64, 64, 3)), halvings(ImageSpec(192, 256, 3))
    (2, 4, 6)
    """
    require_sides(spec[:2], SIDES, "multiples of 4 from 28 to 128, or of 16 up to 512")
    if spec.channels not in (1, 3):
        raise InputError(f"This network draws images of 1 or 3 channels; got {spec.channels}.")
    count, height, width = 0, spec.height, spec.width
    while height % 2 == 0 and width % 2 == 0 and min(height, width) > 4:
        count, height, width = count + 1, height // 2, width // 2
    return count


def require_multiple(sides: Sequence[int], factor: int) -> None:
    """Refuses an image whose sides are not multiples of `factor`.

    Raises:
      InputError: naming the side and the nearest that fit.
    """
    require_sides(sides, range(factor, max(sides) + 2 * factor, factor), f"multiples of {factor}")


def require_sides(sides: Sequence[int], allowed: Sequence[int], expected: str) -> None:
    """Refuses an image with a side that is not among those allowed, in increasing order; `expected` describes them.

    Raises:
      InputError: naming the side and the nearest that fit.
    """
    for side in sides:
        if side not in allowed:
            below, above = [n for n in allowed if n < side], [n for n in allowed if n > side]
            near = below[-1:] + above[:1]
            nearest = f"the nearest {'is' if len(near) == 1 else 'are'} {' and '.join(map(str, near))}"
            raise InputError(f"This network takes images whose sides are {expected}; got {side}: {nearest}.")
