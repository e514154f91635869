"""Averages of networks: how fast they forget, and how they stand in for the networks."""

from collections.abc import Callable

import jax.numpy as jnp

from jaxgen.types import Array, Networks

SUFFIX = "_ema"


def warming_up(decay: float) -> Callable[[Array], Array]:
    """A decay that lets an average forget its first steps: about the last tenth counts, until `decay` is reached.

    >>> [round(float(warming_up(0.999)(step)), 3) for step in (0, 90, 100_000)]
    [0.1, 0.91, 0.999]
    """
    return lambda step: jnp.minimum(decay, (1 + step) / (10 + step))


def averaged(networks: Networks) -> Networks:
    """The networks, each that has an average of its name with "_ema" replaced by that.

    >>> averaged({"encoder": {}, "decoder": {}, "decoder_ema": {"params": 1}})["decoder"]
    {'params': 1}
    """
    return {name: networks.get(name + SUFFIX, variables) for name, variables in networks.items()}
