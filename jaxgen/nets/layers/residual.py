"""Residual blocks without normalisation."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv


class Block(nn.Module):
    """A residual block x + f(x): two convolutions with a GELU before each, the second initialised to zero."""

    layer: Callable[..., nn.Module] = partial(Conv, kernel_size=(3, 3))
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array) -> Array:
        layer = partial(self.layer, image.shape[-1], dtype=self.dtype)
        change = layer()(jax.nn.gelu(image))  # pyright: ignore[reportCallIssue]
        return image + layer(kernel_init=nn.initializers.zeros)(jax.nn.gelu(change))  # pyright: ignore[reportCallIssue]
