"""Losses from losses: a sum, a weight, a lazily computed term.

Each takes losses and gives a loss, so they nest: `add(adversarial=loss, r1=lazily(16, scale(5.0, r1)))`.
"""

from collections.abc import Callable
from typing import Any
from zlib import crc32

import jax
import jax.numpy as jnp

from jaxgen.core.checks import require_loss, require_networks, require_period
from jaxgen.core.conditional import evaluate_if
from jaxgen.core.metrics import mean, prefixed
from jaxgen.core.types import Array, Aux, Context, Loss, Networks


def add(**losses: Loss) -> Loss:
    """The sum of named losses; names become metric prefixes and key streams.

    The metric `name` is the term's contribution to the sum: zero on a step that a lazy term skips.  Losses run in the
    order given, and each sees the collections (such as BatchNorm statistics) that earlier ones mutated.
    """

    def total(networks: Networks, context: Context) -> tuple[Array, Aux]:
        value, metrics, changes = jnp.zeros(()), {}, {}
        for name, loss in losses.items():
            term, aux = require_loss(
                loss(with_changes(networks, changes), stream(context, name)), f"The loss {name!r} of add"
            )
            value += term
            metrics |= {name: mean(term), **prefixed(name, aux.metrics)}
            changes |= {network: {**changes.get(network, {}), **new} for network, new in aux.changes.items()}
        return value, Aux(metrics, changes)

    return total


def scale(weight: float | Callable[[Array], Array], loss: Loss) -> Loss:
    """The loss times a number, or times a schedule's value at the step."""

    def scaled(networks: Networks, context: Context) -> tuple[Array, Aux]:
        value, aux = loss(networks, context)
        return value * (weight(context.step) if callable(weight) else weight), aux

    return scaled


def lazily(k: int, loss: Loss) -> Loss:
    """The loss times `k` on every k-th step and zero in between: the same mean at a k-th of the cost.

    `k` counts steps of the run, so `lazily(k, ...)` inside `every(k, ...)` would count twice.  Lazy regularisation:
    Karras et al. (2020), https://arxiv.org/abs/1912.04958, appendix B.
    """
    require_period(k)

    def lazy(networks: Networks, context: Context) -> tuple[Array, Aux]:
        def run():
            value, aux = require_loss(loss(networks, context), "The loss of lazily")
            require_networks(aux.changes, networks)
            return k * value, Aux(dict(aux.metrics), dict(aux.changes))

        return evaluate_if(context.step % k == 0, run, networks)

    return lazy


def renamed(loss: Loss, **names: str) -> Loss:
    """The loss with each network `name` replaced by the network `names[name]`: `renamed(loss, image="photograph")`."""

    def under_other_names(networks: Networks, context: Context) -> tuple[Array, Aux]:
        require_networks(names.values(), networks)
        value, aux = loss({**networks, **{name: networks[other] for name, other in names.items()}}, context)
        return value, aux._replace(changes={names.get(name, name): change for name, change in aux.changes.items()})

    return under_other_names


def stream(context: Context, name: str) -> Context:
    """The context with its key folded with `name`: an independent stream, whatever other streams there are."""
    return context._replace(key=jax.random.fold_in(context.key, crc32(name.encode())))


def share(context: Context, owner: Any, value: Any) -> Context:
    """The context with a value that all losses of the step find under its owner."""
    return context._replace(shared=(*context.shared, (owner, value)))


def shared(context: Context, owner: Any) -> Any | None:
    """The value that was shared last under an equal owner; None if there is none."""
    return next((value for other, value in reversed(context.shared) if other == owner), None)


def with_changes(networks: Networks, changes: Networks) -> dict[str, dict]:
    """The networks with the collections that a forward pass mutated."""
    require_networks(changes, networks)
    return {name: {**variables, **changes.get(name, {})} for name, variables in networks.items()}
