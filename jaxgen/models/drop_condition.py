"""Condition dropout, by which one network learns with its condition and without: Ho and Salimans (2022), algorithm 1.

https://arxiv.org/abs/2207.12598.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import Conditions
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks


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
