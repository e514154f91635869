"""Errors of the algebra, raised before anything is compiled: what was given, what was expected, what to do."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.core.metrics import Mean
from jaxgen.core.tree import by_path
from jaxgen.core.types import Array, Aux, Networks, TrainState, Update


def require_networks(names: Iterable[str], networks: Networks) -> None:
    """Refuses a name that is not a network."""
    for name in names:
        if name not in networks:
            raise ValueError(f"{name!r} is not a network; the networks are {', '.join(map(repr, sorted(networks)))}.")


def require_trainable(names: Iterable[str], networks: Networks) -> None:
    """Refuses a name that is not a network, and a network without parameters."""
    require_networks(names, networks)
    for name in names:
        if not isinstance(networks[name], Mapping) or "params" not in networks[name]:
            raise ValueError(f"The network {name!r} has no 'params'; expected its variables: {{'params': ..., ...}}.")


def require_positive(owner: str, **numbers: float) -> None:
    """Refuses numbers that are not finite and above 0."""
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{owner} was given a {name} of {value}; expected a finite number above 0.")


def require_scalar(value: Array, owner: str) -> Array:
    """Refuses a loss that is not one floating-point number."""
    if jnp.shape(value) != () or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        given = f"{jnp.result_type(value)}{list(jnp.shape(value))}"
        raise ValueError(f"{owner} is {given}; expected float32[]: reduce it to one number, for example with .mean().")
    return value


def require_result(result: Any, owner: str) -> tuple[Any, Aux]:
    """Refuses what a loss or a game returns unless it is a value and an `Aux` whose metrics are means."""
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Aux)):
        raise ValueError(f"{owner} returns {type(result).__name__}; expected a pair: a value and an Aux(...).")
    for name, metric in result[1].metrics.items():
        if not isinstance(metric, Mean):
            raise ValueError(f"{owner} measures {name!r} as {type(metric).__name__}; expected a Mean: mean(values).")
    return result


def require_loss(result: Any, owner: str) -> tuple[Array, Aux]:
    """Refuses what a loss returns unless it is one number and an `Aux` whose metrics are means."""
    value, aux = require_result(result, owner)
    return require_scalar(value, owner), aux


def require_period(k: int) -> None:
    """Refuses a period that is not a positive whole number."""
    if not isinstance(k, int) or k < 1:
        raise ValueError(f"A period of {k!r} steps was given; expected a whole number of at least 1.")


def require_one_owner(links: Mapping[str, Update]) -> None:
    """Refuses a chain in which two links own the same network."""
    counts = Counter(network for link in links.values() for network in link.owns)
    for network, count in counts.items():
        if count > 1:
            owners = " and ".join(repr(name) for name, link in links.items() if network in link.owns)
            raise ValueError(
                f"{network!r} is trained by more than one link of this chain: {owners}. "
                "A network has one optimiser: add(...) the second loss to the first, or train in phases(...)."
            )


def require_same_type(before: TrainState, after: TrainState) -> None:
    """Refuses a step that changes the structure, shape or dtype of the state."""
    old, new = _types(before), _types(after)
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path, "absent"), new.get(path, "absent")
        if was != now:
            raise TypeError(f"The step changes the type of {path} from {was} to {now}; a state keeps its types.")
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise TypeError(
            f"The step changes the containers of the state from {jax.tree.structure(before)} to "
            f"{jax.tree.structure(after)}; a state keeps its types: use plain dicts for variables."
        )


def _types(state: TrainState) -> dict[str, str]:
    return {path: jax.typeof(leaf).str_short() for path, leaf in by_path(state).items()}
