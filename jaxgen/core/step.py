"""From an update to a training step: `(state, batch) -> (state, metrics)`.

The root key is part of the state and never advances: step n draws from `fold_in(key, n)`, so that scanning, sharding
and resuming change no draw.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.core.batch import replicate
from jaxgen.core.checks import require_same_type
from jaxgen.core.metrics import Metrics
from jaxgen.core.types import Array, Batch, Context, Networks, TrainState, Update

Step = Callable[[TrainState, Any], tuple[TrainState, Metrics]]


def init_state(update: Update, networks: Networks, key: Array, batch: Batch | None = None) -> TrainState:
    """The state before the first step.

    With a batch (arrays, or `jax.ShapeDtypeStruct`s) one step is traced, not run, so that a mistake in a loss is
    raised here.  The state is a copy: a step that donates its buffers leaves the caller's arrays alone.

    Raises:
      ValueError: a name is not a network, two links of a chain own one network, a loss is not a scalar.
      TypeError: the step would change the type of the state.
    """
    networks, opt_state = update.init(networks)
    copies = jax.tree.map(jnp.copy, (key, networks, opt_state))
    state = TrainState(jnp.zeros((), jnp.int32), *copies, setbacks=jnp.zeros((), jnp.int32))
    if batch is not None:
        jax.eval_shape(make_step(update), state, batch)
    return state


def make_step(update: Update) -> Step:
    """One training step, which the caller compiles: `jax.jit(make_step(update), donate_argnums=0)`."""

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key, lr_scale = jax.random.fold_in(state.key, state.step), jnp.ldexp(1.0, -state.setbacks)
        context = Context(batch, key, state.step, lr_scale)
        networks, opt_state, metrics = update.update(replicate(state.networks), state.opt_state, context)
        after = state._replace(step=state.step + 1, networks=networks, opt_state=opt_state)
        require_same_type(state, after)
        return after, metrics

    return step


def scan_steps(step: Step) -> Callable[..., tuple[TrainState, Metrics]]:
    """Many steps in one dispatch, equal bit for bit to a loop over them.

    The result takes `(state, batches, count=None)`: batches with a leading axis n, of which the first `count` are used
    (all by default).  A `count` that is an array gives one program for any number of steps up to n.  Metrics add up.
    """

    def scan(state: TrainState, batches, count: Array | None = None) -> tuple[TrainState, Metrics]:
        def body(index, carry):
            state, metrics = carry
            state, measured = step(state, jax.tree.map(lambda leaf: leaf[index], batches))
            return state, jax.tree.map(jnp.add, metrics, measured)

        first = jax.tree.map(lambda leaf: leaf[0], batches)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(step, state, first)[1])
        most = jax.tree.leaves(batches)[0].shape[0]
        length = most if count is None else jnp.minimum(count, most)
        return jax.lax.fori_loop(0, length, body, (state, nothing))

    return scan
