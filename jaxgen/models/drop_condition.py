"""Condition dropout, by which one network learns with its condition and without: Ho and Salimans (2022), algorithm 1.

https://arxiv.org/abs/2207.12598.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import Conditions
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks


def drop_condition(
    loss: Loss, conditions: Conditions, probability: float = 0.1, *, independently: bool = False
) -> Loss:
    """The loss with the conditions of an example replaced by the null condition, with a probability.

    All are dropped together, or each by itself if `independently`, for guidance with a scale for each.

    Raises:
      ValueError: no conditions, one that has no null condition, or a probability outside [0, 1].
    """
    nulls = {name: condition.null for name, condition in conditions.items() if condition.null is not None}
    if not conditions or nulls.keys() != conditions.keys():
        raise ValueError(f"drop_condition was given {list(conditions)}; expected labels, features or text.")
    if not 0 <= probability <= 1:
        raise ValueError(f"drop_condition was given a probability of {probability}; expected one from 0 to 1.")

    def dropped(networks: Networks, context: Context) -> tuple[Array, Aux]:
        def replace(name: str, null: int) -> Array:
            # The name decides the draws, so it stays.
            key = stream(context, f"untold {name}" if independently else "untold").key
            field = context.batch[name]
            drop = draw_batch(lambda key, shape: jax.random.bernoulli(key, probability, shape), key, field.shape[:1])
            return jnp.where(drop.reshape(-1, *[1] * (field.ndim - 1)), jnp.full_like(field, null), field)

        fields = {name: replace(name, null) for name, null in nulls.items()}
        return loss(networks, context._replace(batch={**context.batch, **fields}))

    return dropped
