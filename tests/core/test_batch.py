"""The batch on one device; tests/core/eight_devices.py has the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.core.batch import devices, draw_batch, gather_batch, next_examples, shard_batch, use_mesh
from jaxgen.core.parallel import make_mesh

KEY = jax.random.key(3)


@pytest.mark.parametrize("draw", [jax.random.normal, jax.random.uniform, jax.random.bernoulli])
def test_a_batch_is_drawn_plainly_on_one_device(draw):
    draw = {jax.random.bernoulli: lambda key, shape: jax.random.bernoulli(key, 0.5, shape)}.get(draw, draw)
    np.testing.assert_array_equal(draw_batch(draw, KEY, (4, 2)), draw(KEY, (4, 2)))
    with use_mesh(make_mesh(jax.devices()[:1])):
        np.testing.assert_array_equal(jax.jit(lambda key: draw_batch(draw, key, (4, 2)))(KEY), draw(KEY, (4, 2)))


def test_keys_are_drawn_as_a_batch_too():
    keys = draw_batch(jax.random.split, KEY, (5,))
    np.testing.assert_array_equal(jax.random.key_data(keys), jax.random.key_data(jax.random.split(KEY, 5)))


def test_one_device_holds_the_global_batch():
    array = jnp.arange(6).reshape(3, 2)
    assert devices() == 1
    assert shard_batch(array) is gather_batch(array) is array
    np.testing.assert_array_equal(next_examples(array), [[2, 3], [4, 5], [0, 1]])
