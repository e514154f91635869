"""Exponential moving averages of networks: how fast they forget, and how they replace the networks.

`use_ema` finds the average of a network by its name, `<name>_ema`:
`ema("generator", into="generator_ema", decay=0.999)`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Networks

SUFFIX = "_ema"

LONGEST = 12**-0.5
"""The relative length of the average that weights all steps alike: power functions that grow are shorter."""

F = TypeVar("F", bound=Callable)


def ema_warmup(decay: float) -> Callable[[Array], Array]:
    """A schedule of the decay that averages over the last tenth of the steps until it reaches `decay`.

    >>> [round(float(ema_warmup(0.999)(step)), 3) for step in (0, 90, 100_000)]
    [0.1, 0.91, 0.999]
    """
    return lambda step: jnp.minimum(decay, (1 + step) / (10 + step))


def power_decay(relative_length: float) -> Callable[[Array], Array]:
    """A schedule of the decay that averages over the same share of the steps at any time, (1 - 1 / t)^(gamma + 1).

    After t steps the average weights step tau by tau^gamma, so that the initialisation has no part in it.  (A
    network whose training begins at a later step s keeps a share of (s / t)^(gamma + 1) of it.)  The relative
    length is the standard deviation of this profile over t: Karras et al. (2024), https://arxiv.org/abs/2312.02696,
    equations (2) and (123). `post_hoc_weights` makes averages of other lengths after training.

    Raises:
      ValueError: the relative length is not between 0 and 1 / sqrt(12).

    >>> [round(float(power_decay(0.1)(step)), 3) for step in (0, 99, 9_999)]
    [0.0, 0.923, 0.999]
    """
    exponent = power_exponent(relative_length) + 1
    # Near 1 float32 has few digits of the decay: log1p keeps those of 1 / t.
    return lambda step: jnp.exp(exponent * jnp.log1p(-1 / (step + 1)))


def power_exponent(relative_length: float) -> float:
    """The exponent gamma of the power function of a relative length: Karras et al. (2024), equation (126).

    Raises:
      ValueError: the relative length is not between 0 and 1 / sqrt(12).
    """
    if not 0 < relative_length < LONGEST:
        raise ValueError(
            f"An average was given a relative length of {relative_length}; expected a number above 0 and below "
            f"{LONGEST:.4f} (1 / sqrt(12)), at which all steps weigh the same."
        )
    precision = relative_length**-2
    return float(np.roots([1, 7, 16 - precision, 12 - precision]).real.max())


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
