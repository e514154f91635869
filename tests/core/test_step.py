import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Aux, Update, add, chain, ema, every, init_state, lazily, make_step, merge, minimize, scan_steps
from tests import toys

UPDATE = chain(
    d=minimize(add(a=toys.discriminate, b=lazily(3, toys.discriminate)), optax.adam(0.1), wrt="discriminator"),
    g=every(2, minimize(toys.generate, optax.adam(0.1), wrt="generator")),
    average=ema("generator", into="mean", decay=0.9),
)
STEPS = 7


def batches():
    return {"image": jax.random.normal(jax.random.key(5), (STEPS, toys.SIZE))}


STEP = jax.jit(make_step(UPDATE))


@functools.cache
def begin():
    return init_state(UPDATE, toys.networks(), jax.random.key(3), toys.batch())


def raw(state):
    return state._replace(key=jax.random.key_data(state.key))


def loop(state, count=STEPS):
    metrics = {}
    for n in range(count):
        state, measured = STEP(state, jax.tree.map(lambda leaf, n=n: leaf[n], batches()))
        metrics = merge(metrics, measured)
    return state, metrics


def test_a_scan_equals_a_loop_bit_for_bit():
    by_scan, by_loop = jax.jit(scan_steps(make_step(UPDATE)))(begin(), batches()), loop(begin())
    chex.assert_trees_all_equal(raw(by_scan[0]), raw(by_loop[0]))
    # A loss that is only measured may be rounded once or twice: newer compilers contract its 3 b + a.
    chex.assert_trees_all_close(by_scan[1], by_loop[1], rtol=2e-7)


def test_one_program_runs_any_number_of_steps():
    scan = jax.jit(scan_steps(make_step(UPDATE)))
    for count in range(STEPS + 1):
        state, _ = scan(begin(), batches(), jnp.int32(count))
        chex.assert_trees_all_equal(raw(state), raw(loop(begin(), count)[0]))
    assert scan._cache_size() == 1


def test_going_on_from_a_state_equals_never_having_stopped():
    middle, _ = loop(begin(), 3)
    rest = jax.tree.map(lambda leaf: leaf[3:], batches())
    resumed, _ = jax.jit(scan_steps(make_step(UPDATE)))(middle, rest)
    chex.assert_trees_all_equal(raw(resumed), raw(loop(begin())[0]))


def test_the_step_counts_and_the_root_key_stays():
    state, _ = loop(begin())
    assert state.step == STEPS
    assert jax.random.key_data(state.key).tolist() == jax.random.key_data(jax.random.key(3)).tolist()


def test_each_step_draws_anew_and_the_same_step_draws_the_same():
    state = begin()
    _, zero = STEP(state, toys.batch())
    _, again = STEP(state, toys.batch())
    _, one = STEP(state._replace(step=jnp.int32(1)), toys.batch())
    assert zero["d/a"].total == again["d/a"].total != one["d/a"].total


@pytest.mark.parametrize("setbacks", [1, 3])
def test_each_setback_halves_the_step(setbacks):
    update = minimize(toys.generate, optax.sgd(0.1), wrt="generator")
    zero = {**toys.networks(), "generator": {"params": {"w": jnp.zeros(toys.SIZE)}}}  # so that w is the step, unrounded
    state = init_state(update, zero, jax.random.key(0))
    whole, reduced = (
        toys.w(make_step(update)(state._replace(setbacks=jnp.int32(number)), toys.batch())[0].networks, "generator")
        for number in (0, setbacks)
    )
    np.testing.assert_array_equal(reduced, whole / 2**setbacks)


def test_a_step_keeps_the_types_of_its_state():
    state = begin()
    after, _ = jax.eval_shape(make_step(UPDATE), state, toys.batch())
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)


def test_init_runs_no_step():
    chex.assert_trees_all_equal(begin().networks["generator"], toys.networks()["generator"])
    assert begin().step == 0


def test_a_step_that_changes_a_type_is_refused_at_init_by_the_name_of_the_leaf():
    def lower(networks, state, context):
        return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), networks), state, {}

    update = Update(init=lambda networks: (networks, ()), update=lower)
    with pytest.raises(TypeError, match=r"networks\.discriminator\.\S+ from .*32.* to .*16"):
        init_state(update, toys.networks(), jax.random.key(0), toys.batch())


def test_a_step_that_adds_a_network_is_refused_at_init():
    update = Update(
        init=lambda networks: (networks, ()),
        update=lambda networks, state, context: ({**networks, "new": {"params": jnp.zeros(2)}}, state, {}),
    )
    with pytest.raises(TypeError, match=r"networks\.new\.params from absent to"):
        init_state(update, toys.networks(), jax.random.key(0), toys.batch())


@pytest.mark.parametrize("value", [jnp.zeros(4), jnp.int32(1)])
def test_a_loss_that_is_no_scalar_is_refused_at_init(value):
    def loss(networks, context):
        return value * toys.w(networks, "generator")[0].astype(value.dtype), Aux()

    update = minimize(loss, optax.sgd(0.1), wrt="generator")
    with pytest.raises(ValueError, match=r"wrt='generator'\) is .*; expected float32\[\]"):
        init_state(update, toys.networks(), jax.random.key(0), toys.batch())


def test_changing_a_network_that_is_none_is_refused_at_init():
    def loss(networks, context):
        return toys.generate(networks, context)[0], Aux(changes={"critic": {"batch_stats": {}}})

    with pytest.raises(ValueError, match="'critic' is not a network"):
        init_state(minimize(loss, optax.sgd(0.1), wrt="generator"), toys.networks(), jax.random.key(0), toys.batch())


def test_a_batch_may_be_given_by_its_types():
    types = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), toys.batch())
    state = init_state(UPDATE, toys.networks(), jax.random.key(3), types)
    np.testing.assert_array_equal(toys.w(state.networks, "mean"), toys.w(state.networks, "generator"))


def test_a_network_without_parameters_is_refused_at_init():
    with pytest.raises(ValueError, match=r"'generator' has no 'params'; expected its variables"):
        init_state(UPDATE, {**toys.networks(), "generator": {"w": jnp.zeros(2)}}, jax.random.key(0))


def test_a_step_that_uses_up_its_state_takes_nothing_from_the_caller():
    networks, key = toys.networks(), jax.random.key(3)
    state = init_state(UPDATE, networks, key)
    jax.jit(make_step(UPDATE), donate_argnums=0)(state, toys.batch())
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(networks))
    jax.random.split(key)


def test_a_count_beyond_the_batches_is_their_number():
    scan = jax.jit(scan_steps(make_step(UPDATE)))
    assert scan(begin(), batches(), 100)[0].step == STEPS


def test_other_containers_are_refused_at_init():
    class Frozen(dict):
        pass

    jax.tree_util.register_pytree_with_keys(
        Frozen,
        lambda d: ([(jax.tree_util.DictKey(k), d[k]) for k in sorted(d)], tuple(sorted(d))),
        lambda keys, values: Frozen(zip(keys, values, strict=True)),
    )
    networks = {name: Frozen(variables) for name, variables in toys.networks().items()}
    with pytest.raises(TypeError, match=r"changes the containers of the state .* use plain dicts"):
        init_state(UPDATE, networks, jax.random.key(0), toys.batch())
