"""Classifier-free guidance.  Ho and Salimans (2022), https://arxiv.org/abs/2207.12598.

One network learns with its condition c and, for a share of the examples, without; drawing goes beyond the condition:

    (1) l = l(none) + s (l(c) - l(none))        the logits of a pixel; s = 1 is the condition as it was learnt

So it is for likelihoods of logits, `bernoulli` and `categorical`, and for codes.  `Draw` is what draws an image a pixel
at a time, as in `jaxgen.models.autoregressive.incremental`.
"""

import math

import jax
import jax.numpy as jnp

from jaxgen.core.batch import devices, shard_batch
from jaxgen.core.condition import Condition
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Variables
from jaxgen.models.autoregressive.incremental import Canvas, Draw, draw_incrementally
from jaxgen.nets import Module


def drop_condition(loss: Loss, condition: Condition, share: float = 0.1) -> Loss:
    """The loss with a share of the batch, drawn at random, whose condition is none.

    Raises:
      ValueError: a share outside [0, 1], or a condition on images, which are the truth too.
    """
    if (nothing := condition.none) is None:
        raise ValueError(f"sometimes_untold was given a condition on {condition.field!r}, which cannot be left out.")
    if not 0 <= share <= 1:
        raise ValueError(f"sometimes_untold was given a share of {share}; expected one from 0 to 1.")

    def partly(networks: Networks, context: Context) -> tuple[Array, Aux]:
        field = context.batch[condition.field]
        key = stream(context, "untold").key
        untold = shard_batch(jax.random.bernoulli(key, share, (devices() * len(field),)))
        none = jnp.full_like(field, nothing)
        field = jnp.where(untold.reshape(-1, *[1] * (field.ndim - 1)), none, field)
        return loss(networks, context._replace(batch={**context.batch, condition.field: field}))

    return partly


def guided(scale: float, draw: Draw = draw_incrementally) -> Draw:
    """`draw` with guidance (1), for a network that is told something; the images are drawn with it and without.

    What a network is told of no condition is zeros.

    Raises:
      ValueError: the scale is not a finite number from 0 on.
    """
    if not 0 <= scale < math.inf:
        raise ValueError(f"guided was given a scale of {scale}; expected a finite number from 0 on.")

    def draw_guided(network: Module, variables: Variables, canvas: Canvas, condition: Array) -> Array:
        def mix(dist_params: Array) -> Array:
            told, untold = jnp.split(canvas.mix(dist_params), 2)
            return twice(untold + scale * (told - untold))

        both = canvas._replace(image=twice(canvas.image), keys=twice(canvas.keys), mix=mix)
        images = draw(network, variables, both, jnp.concatenate([condition, jnp.zeros_like(condition)]))
        return images[: canvas.image.shape[0]]

    return draw_guided


def twice(array: Array) -> Array:
    """An array after itself."""
    return jnp.concatenate([array, array])
