"""Exponential moving averages of networks: how fast they forget, and how they replace the networks.

`use_ema` finds the average of a network by its name, `<name>_ema`:
`ema("generator", into="generator_ema", decay=0.999)`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import jax.numpy as jnp

from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Networks

SUFFIX = "_ema"

F = TypeVar("F", bound=Callable)


def ema_warmup(decay: float) -> Callable[[Array], Array]:
    """A schedule of the decay that averages over the last tenth of the steps until it reaches `decay`.

    >>> [round(float(ema_warmup(0.999)(step)), 3) for step in (0, 90, 100_000)]
    [0.1, 0.91, 0.999]
    """
    return lambda step: jnp.minimum(decay, (1 + step) / (10 + step))


def ema_networks(networks: Networks) -> Networks:
    """The networks, with each network that has an average `<name>_ema` replaced by it.

    Raises:
      ValueError: no network has an average.

    >>> ema_networks({"encoder": {}, "decoder": {}, "decoder_ema": {"params": 1}})["decoder"]
    {'params': 1}
    """
    if not any(name + SUFFIX in networks for name in networks):
        raise ValueError(
            f"None of the networks {', '.join(map(repr, sorted(networks)))} has an average: expected an `ema` in the "
            f"update, into a network called '<name>{SUFFIX}'."
        )
    return {name: networks.get(name + SUFFIX, variables) for name, variables in networks.items()}


def use_ema(function: F) -> F:
    """A sampler, controls or any other function of networks, evaluated at their averages: `use_ema(gan.sampler())`."""
    if isinstance(function, Sampler):
        return replace(function, draw=use_ema(function.draw))  # pyright: ignore[reportReturnType]

    def at_averages(networks: Networks, *inputs: Any, **options: Any) -> Any:
        return function(ema_networks(networks), *inputs, **options)

    return at_averages  # pyright: ignore[reportReturnType]
