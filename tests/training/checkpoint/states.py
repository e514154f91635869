"""States to save, and what a folder of checkpoints holds."""

from functools import cache

import chex
import jax
import jax.numpy as jnp
import optax

from jaxgen import TrainState, chain, ema, init_state, minimize
from jaxgen.training.checkpoint import Checkpoints
from tests import toys

UPDATE = chain(
    g=minimize(toys.generate, optax.chain(optax.clip(1.0), optax.adam(0.1)), wrt="generator"),
    average=ema("generator", into="mean", decay=0.9),
)


@cache
def begun(seed) -> TrainState:
    return init_state(UPDATE, toys.networks(seed), jax.random.key(seed), toys.batch())


def state(seed=0, step=0) -> TrainState:
    return begun(seed)._replace(step=jnp.int32(step))


def with_w(state, w):
    """The state with another weight in its generator."""
    return state._replace(networks={**state.networks, "generator": {"params": {"w": w}}})


def counted(state):
    """The state with 1, 2, 3, ... in each array of float32, which no compiler rounds."""

    def count(leaf):
        return jnp.arange(leaf.size, dtype=leaf.dtype).reshape(leaf.shape) + 1 if leaf.dtype == jnp.float32 else leaf

    return jax.tree.map(count, state)


def raw(state):
    return state._replace(key=jax.random.key_data(state.key))


def quiet(line):
    raise AssertionError(line)


def assert_restored(folder, expected):
    """The newest checkpoint is sound and gives this state, bit for bit."""
    restored = Checkpoints(folder).restore(state(seed=9), quiet)
    chex.assert_trees_all_equal(raw(restored), raw(expected))
    chex.assert_trees_all_equal_shapes_and_dtypes(raw(restored), raw(expected))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
