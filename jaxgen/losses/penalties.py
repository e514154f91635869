"""Gradient penalties.

Mescheder, Geiger and Nowozin (2018), https://arxiv.org/abs/1801.04406, equation (9), without its weight:

    R1    1/2 |grad_x l(x)|^2    at real x
    R2    the same               at generated x

Penalties are [B], not reduced, in float32.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.types import Array


def zero_centred_penalty(discriminator: Callable[[Array], Array], images: Array) -> Array:
    """Half the squared gradient of the logits [B] at images [B, H, W, C]: R1 or R2, by where it is taken.

    Each logit must depend on its own image alone: no BatchNorm in training mode.
    """
    gradients = jax.grad(lambda given: discriminator(given).sum())(images.astype(jnp.float32))
    return 0.5 * jnp.square(gradients).sum(axis=tuple(range(1, images.ndim)))
