"""Classifier-free guidance.  Ho and Salimans (2022), https://arxiv.org/abs/2207.12598.

One network learns with its condition c and, for a fraction of the examples, with the null condition; sampling
extrapolates from the second to the first:

    (1) l = l(null) + s (l(c) - l(null))        the logits of a pixel; s = 1 is the conditional model

So it is for likelihoods of logits, `bernoulli` and `categorical`, and for codes.
"""

import math

import jax.numpy as jnp

from jaxgen.core.types import Array, Variables
from jaxgen.models.autoregressive.incremental import Canvas, Draw, draw_incrementally
from jaxgen.nets import Module


def guided(scale: float, draw: Draw = draw_incrementally) -> Draw:
    """`draw` with guidance (1) at a scale: the network is evaluated with its condition and with the null condition.

    Raises:
      ValueError: the scale is not a finite number of at least 0.
      TypeError: when it draws, if the model is unconditional.
    """
    if not 0 <= scale < math.inf:
        raise ValueError(f"guided was given a scale of {scale}; expected a finite number of at least 0.")

    def draw_guided(network: Module, variables: Variables, canvas: Canvas, /, *condition: Array) -> Array:
        if not condition:
            raise TypeError("guided draws for conditions; this model has none.")

        def mix(dist_params: Array) -> Array:
            conditional, null = jnp.split(canvas.mix(dist_params), 2)
            return twice(null + scale * (conditional - null))

        both = canvas._replace(image=twice(canvas.image), keys=twice(canvas.keys), mix=mix)
        inputs = [jnp.concatenate([array, jnp.zeros_like(array)]) for array in condition]
        return draw(network, variables, both, *inputs)[: canvas.image.shape[0]]

    return draw_guided


def twice(array: Array) -> Array:
    """An array followed by itself."""
    return jnp.concatenate([array, array])
