"""The words of the algebra: networks, a context, a loss, an update, a state.

Everything that trains is an `Update`, a pair of pure functions as in optax.  Networks go in on the left and come out on
the right; what a loss or a sampler must read is a network, what only the update reads is its private `opt_state`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from jaxgen.metrics import Metrics

Array = jax.Array
PyTree = Any
OptState = Any

Variables = Mapping[str, PyTree]
"""One network's collections: `{"params": ..., "batch_stats": ...}`."""

Networks = Mapping[str, Variables]
"""Variables by network name: `{"generator": ..., "discriminator": ..., "generator_ema": ...}`."""

Batch = Mapping[str, Any]
"""`image` uint8 [B, H, W, C]; where there are: `label` int32 [B], `text` int32 [B, T], `features` float32 [B, F],
`latent` float32 [B, Z]."""


class Context(NamedTuple):
    """What one step is given: its batch, its own key, its number (int32 []), and a factor of all optimisers' steps."""

    batch: Batch
    key: Array
    step: Array
    rate: Array | float = 1.0


class Aux(NamedTuple):
    """What a loss says besides its value.

    `changes` holds the mutated collections by network name; what is not listed is unchanged.
    """

    metrics: Metrics = {}
    changes: Networks = {}


Loss = Callable[[Networks, Context], tuple[Array, Aux]]
"""A scalar (float32 []) to make small, and what it has to say."""

Game = Callable[[Networks, Context], tuple[Mapping[str, Array], Aux]]
"""A scalar for each player, from one shared forward pass."""

Sampler = Callable[..., Array]
"""Networks, typed keys [B], one an image, and the field of a condition [B, ...] if there is one, to images float32
[B, H, W, C] in [-1, 1], or a little beyond where no last layer bounds them."""


class Update(NamedTuple):
    """One way to change networks, as a pair of pure functions.

    `init` may add networks of its own (an average, an augmentation's probability) and makes the private state.
    `update` is one step.  `wrt` names the networks whose parameters an optimiser of this update owns.
    """

    init: Callable[[Networks], tuple[Networks, OptState]]
    update: Callable[[Networks, OptState, Context], tuple[Networks, OptState, Metrics]]
    wrt: tuple[str, ...] = ()


class TrainState(NamedTuple):
    """All that a step reads and writes.

    No step changes the root key and the rate (float32 []), a factor of all optimisers' steps: both are changed when
    training is set back after a divergence.
    """

    step: Array
    key: Array
    networks: Networks
    opt_state: OptState
    rate: Array
