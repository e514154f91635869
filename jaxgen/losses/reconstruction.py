"""How far images are from what they should be.

    (1) squared      mean (x - y)^2
    (2) absolute     mean |x - y|
    (3) Charbonnier  mean sqrt((x - y)^2 + e^2)               Lai et al. (2017), https://arxiv.org/abs/1704.03915
    (4) perceptual   sum over maps of mean (f(x) - f(y))^2    Johnson et al. (2016), https://arxiv.org/abs/1603.08155

Images are float32 [B, H, W, C] in [-1, 1]; every value is [B], a mean over pixels and channels.  Cross-entropy is
minus the `log_prob` of a `categorical` likelihood.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array, PyTree

Distance = Callable[[Array, Array], Array]
"""Images that were made and true ones, float32 [B, H, W, C], to a cost [B]."""


def squared_error(made: Array, truth: Array) -> Array:
    """The mean squared error, (1)."""
    return _mean(jnp.square(made - truth))


def absolute_error(made: Array, truth: Array) -> Array:
    """The mean absolute error, (2)."""
    return _mean(jnp.abs(made - truth))


def charbonnier_error(epsilon: float = 1e-2) -> Distance:
    """The absolute error, rounded off below `epsilon`, (3).

    Raises:
      ValueError: epsilon is not above 0.
    """
    if not epsilon > 0:
        raise ValueError(f"charbonnier_error was given epsilon {epsilon}; expected one above 0.")
    return lambda made, truth: _mean(jnp.sqrt(jnp.square(made - truth) + epsilon**2))


def perceptual_error(features: Callable[[Array], PyTree]) -> Distance:
    """The squared error of what a network sees, (4).

    `features` takes images to an array [B, ...] or to several, in a tuple, a list or a dict.
    """

    def distance(made: Array, truth: Array) -> Array:
        pairs = zip(*(jax.tree.leaves(features(images)) for images in (made, truth)), strict=True)
        return jnp.stack([squared_error(one, other) for one, other in pairs]).sum(0)

    return distance


def _mean(values: Array) -> Array:
    return values.reshape(len(values), -1).mean(-1)
