"""The padding of convolutions: in pixels, the sizes that follow from it, and circular edges.

With circular edges, which repeat the image from its other side, a layer commutes with circular shifts by its stride:
its images are tori, or cylinders if they wrap around on one axis.
"""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxgen.core.types import Array

Padding = str | Sequence[tuple[int, int]]
"""'SAME', 'VALID', or ((top, bottom), (left, right)) in pixels."""

Pair = tuple[int, int]
Pads = tuple[Pair, ...]

Wrap = tuple[bool, bool]
"""Whether images wrap around vertically (rows) and horizontally (columns): their padding is then circular."""

NO_WRAP = (False, False)


def reduced(size: Sequence[int], taps: Sequence[int], strides: Pair, pads: Pads) -> list[int]:
    """The height and width that a convolution makes of `size`."""
    return [(n + low + high - k) // s + 1 for n, k, s, (low, high) in zip(size, taps, strides, pads, strict=True)]


def enlarged(size: Sequence[int], taps: Sequence[int], strides: Pair, pads: Pads) -> list[int]:
    """The height and width that a transposed convolution makes of `size`."""
    return [(n - 1) * s + low + high - k + 2 for n, k, s, (low, high) in zip(size, taps, strides, pads, strict=True)]


def is_empty(size: Sequence[int]) -> bool:
    """Whether a side is below one."""
    # One side after the other: sizes that an exported program leaves open cannot be compared.
    return any(side < 1 for side in size)


def transposed_pads(k: int, s: int, padding: str) -> Pair:
    """The padding that makes n pixels n s ('SAME') or (n - 1) s + max(k, s) ('VALID'), as `jax.lax` splits it."""
    if padding == "VALID":
        return k - 1, max(k, s) - 1
    low = k - 1 if s > k - 1 else -(-(k + s - 2) // 2)
    return low, k + s - 2 - low


def wrapped(image: Array, taps: Sequence[int], strides: Pair, pads: Pads, wrap: Wrap) -> tuple[Array, Pads]:
    """The image [B, H, W, C] with circular edges on the axes of `wrap`, and the padding that is left to a convolution.

    Raises:
      ValueError: on such an axis the convolution does not make n / s of n pixels, or its padding is negative.
    """
    size = image.shape[1:3]
    made = [side * s for side, s in zip(reduced(size, taps, strides, pads), strides, strict=True)]
    _require_scale(wrap, made, size, f"a convolution with strides {strides} and padding {pads}")
    edges = tuple(pad if on else (0, 0) for pad, on in zip(pads, wrap, strict=True))
    rest = tuple((0, 0) if on else pad for pad, on in zip(pads, wrap, strict=True))
    return _with_edges(image, edges), rest


def wrapped_transpose(image: Array, taps: Sequence[int], strides: Pair, pads: Pads, wrap: Wrap) -> tuple[Array, Pads]:
    """`wrapped` for a transposed convolution: the padding that is left crops what the repeated pixels add.

    Raises:
      ValueError: on such an axis the transposed convolution does not make n s of n pixels.
    """
    size = image.shape[1:3]
    expected = [side * s for side, s in zip(size, strides, strict=True)]
    made = enlarged(size, taps, strides, pads)
    _require_scale(wrap, made, expected, f"a transposed convolution with strides {strides} and padding {pads}")
    # A kernel begins `low` before the first pixel and ends as far behind the last one: the repeated pixels reach there.
    far = [max(low, k - 1 - low) for k, (low, _) in zip(taps, pads, strict=True)]
    reach = [-(-side // s) if on else 0 for side, s, on in zip(far, strides, wrap, strict=True)]
    rest = tuple((low - n * s, high - n * s) for n, s, (low, high) in zip(reach, strides, pads, strict=True))
    return _with_edges(image, [(n, n) for n in reach]), rest


def _with_edges(image: Array, edges: Sequence[Pair]) -> Array:
    if all(isinstance(side, int) for side in image.shape[1:3]):
        return jnp.pad(image, ((0, 0), *edges, (0, 0)), mode="wrap")
    for axis, (low, high) in enumerate(edges, start=1):  # jnp.pad compares sizes, which an exported program leaves open
        side = image.shape[axis]
        image = jnp.take(image, (jnp.arange(side + low + high) - low) % side, axis)
    return image


def _require_scale(wrap: Wrap, made: Sequence[int], expected: Sequence[int], what: str) -> None:
    for on, side, wanted in zip(wrap, made, expected, strict=True):
        if on and side != wanted:
            raise ValueError(f"wrap={wrap}: {what} does not scale sides by its strides: {side} pixels for {wanted}.")
