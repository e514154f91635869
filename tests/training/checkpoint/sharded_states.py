"""States of which each device holds an eighth."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.parallel import Strategy, by_jit, make_mesh
from jaxgen.training.checkpoint import Checkpoints, flatten
from tests.training.checkpoint.states import state, with_w

W = "networks.generator.params.w"


def large(seed, step, size=4096):
    """A state with a weight that fsdp shards, a key, scalars and an array without elements."""
    w = np.arange(size, dtype=np.float32).reshape(-1, 8) + seed
    return with_w(state(seed, step), {"w": w, "none": jnp.zeros((0, 3))})


def strategy(devices=None, *, fsdp=True) -> Strategy:
    return by_jit(make_mesh(jax.devices()[:devices]), fsdp=fsdp)


def restored(folder, strategy, announce, **options):
    """The newest checkpoint, on the devices of a strategy."""
    target = strategy.place(jax.eval_shape(lambda: large(0, 0)))
    return Checkpoints(folder, **options).restore(target, announce)


def assert_same_bits(state, expected):
    """The arrays of the state are the expected ones, as far as this process holds them."""
    expected = flatten(expected)
    for name, leaf in flatten(state).items():
        for shard in leaf.addressable_shards:
            assert np.asarray(shard.data).tobytes() == np.asarray(expected[name])[shard.index].tobytes(), name
