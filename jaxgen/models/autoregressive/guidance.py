"""Classifier-free guidance.  Ho and Salimans (2022), https://arxiv.org/abs/2207.12598.

One network learns with its condition c and, for a fraction of the examples, with the null condition; sampling
extrapolates from the second to the first:

    (1) l = l(null) + s (l(c) - l(null))        the logits of a pixel; s = 1 is the conditional model

So it is for likelihoods of logits, `bernoulli` and `categorical`, and for codes.
"""

import math

import jax
import jax.numpy as jnp

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import Conditions
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Variables
from jaxgen.models.autoregressive.incremental import Canvas, Draw, draw_incrementally
from jaxgen.nets import Module


def drop_condition(loss: Loss, conditions: Conditions, probability: float = 0.1) -> Loss:
    """The loss with all conditions of an example replaced by the null condition, with a probability.

    Raises:
      ValueError: no conditions, one that has no null condition, or a probability outside [0, 1].
    """
    nulls = {name: condition.null for name, condition in conditions.items() if condition.null is not None}
    if not conditions or nulls.keys() != conditions.keys():
        raise ValueError(f"drop_condition was given {list(conditions)}; expected labels, features or text.")
    if not 0 <= probability <= 1:
        raise ValueError(f"drop_condition was given a probability of {probability}; expected one from 0 to 1.")

    def dropped(networks: Networks, context: Context) -> tuple[Array, Aux]:
        size = context.batch["image"].shape[:1]
        key = stream(context, "untold").key  # the name decides the draws, so it stays
        drop = draw_batch(lambda key, shape: jax.random.bernoulli(key, probability, shape), key, size)

        def replace(field: Array, null: int) -> Array:
            return jnp.where(drop.reshape(-1, *[1] * (field.ndim - 1)), jnp.full_like(field, null), field)

        fields = {name: replace(context.batch[name], null) for name, null in nulls.items()}
        return loss(networks, context._replace(batch={**context.batch, **fields}))

    return dropped


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
