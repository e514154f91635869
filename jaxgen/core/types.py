"""The types of the algebra: networks, a context, a loss, an update, a state.

Everything that trains is an `Update`, a pair of pure functions as in optax.  What a loss or a sampler reads is a
network; what only the update reads is its private `opt_state`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from jaxgen.core.metrics import Metrics

Array = jax.Array
PyTree = Any
OptState = Any

Variables = Mapping[str, PyTree]
"""One network's collections: `{"params": ..., "batch_stats": ...}`."""

Networks = Mapping[str, Variables]
"""Variables by network name: `{"generator": ..., "discriminator": ..., "generator_ema": ...}`."""

Batch = Mapping[str, Any]
"""`image` uint8 [B, H, W, C]; where there are: `label` int32 [B], `text` int32 [B, T], `features` float32 [B, F]."""


class Context(NamedTuple):
    """The inputs of one step: its batch, its own key and its number (int32 []).

    `lr_scale` multiplies the updates of all optimisers.  `shared` are pairs of an owner, such as a model, and a value
    that was computed once for all losses of the step: see `share`.
    """

    batch: Batch
    key: Array
    step: Array
    lr_scale: Array | float = 1.0
    shared: tuple[tuple[Any, Any], ...] = ()


class Aux(NamedTuple):
    """The auxiliary outputs of a loss.

    `changes` holds the mutated collections by network name; collections that are not listed are unchanged.
    """

    metrics: Metrics = {}
    changes: Networks = {}


Loss = Callable[[Networks, Context], tuple[Array, Aux]]
"""Networks and a context to a scalar (float32 []) to minimise, and its auxiliary outputs."""

Game = Callable[[Networks, Context], tuple[Mapping[str, Array], Aux]]
"""Networks and a context to a scalar for each player of a game, from one shared forward pass."""


class Update(NamedTuple):
    """A pair of pure functions that changes networks.

    `init` may add networks of its own, such as an average, and makes the private state.
    `update` is one step.  `owns` names the networks that the update trains or averages: each has one owner.  `losses`
    names the metrics that it minimises, which must stay finite.
    """

    init: Callable[[Networks], tuple[Networks, OptState]]
    update: Callable[[Networks, OptState, Context], tuple[Networks, OptState, Metrics]]
    owns: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


class TrainState(NamedTuple):
    """All that a step reads and writes.

    `setbacks` (int32 []) counts how often training went back after a divergence; each halves all learning rates.  No
    step changes it or the root key.
    """

    step: Array
    key: Array
    networks: Networks
    opt_state: OptState
    setbacks: Array
