import chex
import jax
import jax.numpy as jnp
import optax
import pytest

from jaxgen import InputError, TrainState, chain, ema, init_state, minimize
from jaxgen.checkpoint import KEEP, Checkpoints, flatten, unflatten
from tests import toys

UPDATE = chain(
    g=minimize(toys.generate, optax.chain(optax.clip(1.0), optax.adam(0.1)), wrt="generator"),
    average=ema("generator", into="mean", decay=0.9),
)


def state(seed=0, step=0) -> TrainState:
    begun = init_state(UPDATE, toys.networks(seed), jax.random.key(seed), toys.batch())
    return begun._replace(step=jnp.int32(step))


def raw(state):
    return state._replace(key=jax.random.key_data(state.key))


def test_a_state_is_its_leaves_by_name():
    flat = flatten(state())
    assert {"step", "key", "networks.mean.params.w"} <= flat.keys()
    chex.assert_trees_all_equal(raw(unflatten(flat, state(seed=1))), raw(state()))


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_what_is_restored_is_what_was_saved(tmp_path, impl):
    saved = state(step=5)._replace(key=jax.random.key(3, impl=impl))
    target = state(seed=1)._replace(key=jax.random.key(0, impl=impl))
    Checkpoints(tmp_path / "c").save(saved)
    restored = Checkpoints(tmp_path / "c").restore(target)
    chex.assert_trees_all_equal(raw(restored), raw(saved))
    chex.assert_trees_all_equal_shapes_and_dtypes(raw(restored), raw(saved))
    assert jax.random.key_impl(restored.key) == jax.random.key_impl(saved.key)


def test_the_newest_checkpoints_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest() is None
    for step in range(1, KEEP + 3):
        checkpoints.save(state(step=step))
    assert checkpoints.latest() == KEEP + 2
    assert len([path for path in tmp_path.iterdir() if path.name.isdigit()]) == KEEP


def test_saving_a_step_again_changes_nothing(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state(seed=0, step=1))
    checkpoints.save(state(seed=1, step=1))
    chex.assert_trees_all_equal(raw(checkpoints.restore(state())), raw(state(seed=0, step=1)))


def test_a_checkpoint_that_does_not_fit_is_told_in_one_line(tmp_path):
    Checkpoints(tmp_path).save(state(step=1))
    other = init_state(minimize(toys.generate, optax.sgd(0.1), wrt="generator"), toys.networks(), jax.random.key(0))
    with pytest.raises(InputError, match=r"checkpoint of step 1 in .* cannot be read") as error:
        Checkpoints(tmp_path).restore(other)
    assert "\n" not in str(error.value)
