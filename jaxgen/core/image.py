"""Images: uint8 [B, H, W, C] at every boundary, float32 [B, H, W, C] in [-1, 1] inside; C is 1 or 3."""

from typing import NamedTuple

import jax.numpy as jnp

from jaxgen.core.types import Array


class ImageSpec(NamedTuple):
    """The size of an image."""

    height: int
    width: int
    channels: int


def to_float(image: Array) -> Array:
    """uint8 to float32 in [-1, 1].

    >>> to_float(jnp.array([0, 255], jnp.uint8))
    Array([-1.,  1.], dtype=float32)

    Raises:
      TypeError: the image is not uint8.
    """
    if image.dtype != jnp.uint8:
        raise TypeError(f"to_float was given {image.dtype}; expected uint8.")
    return image.astype(jnp.float32) / 127.5 - 1.0


def to_uint8(image: Array) -> Array:
    """float32 in [-1, 1] to the nearest uint8; values outside are clipped.

    Raises:
      TypeError: the image is not of a floating-point type.
    """
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(f"to_uint8 was given {image.dtype}; expected floating point in [-1, 1].")
    return jnp.clip(jnp.round((image.astype(jnp.float32) + 1.0) * 127.5), 0, 255).astype(jnp.uint8)
