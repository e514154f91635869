"""Reconstruction errors: distances between images and their targets.

    (1) squared      mean (x - y)^2
    (2) absolute     mean |x - y|
    (3) Charbonnier  mean sqrt((x - y)^2 + e^2)               Lai et al. (2017), https://arxiv.org/abs/1704.03915
    (4) perceptual   sum over maps of mean (f(x) - f(y))^2    Johnson et al. (2016), https://arxiv.org/abs/1603.08155

Images are float32 [B, H, W, C] in [-1, 1]; every error is [B], a mean over pixels and channels.  Cross-entropy is
the negative `log_prob` of a `categorical` likelihood.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array, PyTree

Distance = Callable[[Array, Array], Array]
"""Images and targets, float32 [B, H, W, C], to a distance [B]."""


def squared_error(images: Array, target: Array) -> Array:
    """The mean squared error, (1)."""
    return _mean(jnp.square(images - target))


def absolute_error(images: Array, target: Array) -> Array:
    """The mean absolute error, (2)."""
    return _mean(jnp.abs(images - target))


def charbonnier_error(epsilon: float = 1e-2) -> Distance:
    """The Charbonnier error, (3): the absolute error, smooth below `epsilon`.

    Raises:
      ValueError: epsilon is not above 0.
    """
    if not epsilon > 0:
        raise ValueError(f"charbonnier_error was given epsilon {epsilon}; expected one above 0.")
    return lambda images, target: _mean(jnp.sqrt(jnp.square(images - target) + epsilon**2))


def perceptual_error(features: Callable[[Array], PyTree]) -> Distance:
    """The squared error of a network's feature maps, (4).

    `features` takes images to feature maps: an array [B, ...], or a tuple, list or dict of arrays.
    """

    def distance(images: Array, target: Array) -> Array:
        pairs = zip(*(jax.tree.leaves(features(inputs)) for inputs in (images, target)), strict=True)
        return jnp.stack([squared_error(one, other) for one, other in pairs]).sum(0)

    return distance


def _mean(values: Array) -> Array:
    return values.reshape(len(values), -1).mean(-1)
