import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen import Aux, init_state, make_step, mean, minimize
from jaxgen.core.parallel import by_jit, make_mesh
from jaxgen.training.dispatch import Feed, many_steps, train

SIZE, DISPATCH = 6, 10
DATA = {"image": np.arange(SIZE, dtype=np.float32)}


def loss(networks, context):
    error = context.batch["image"] - networks["n"]["params"] + jax.random.normal(context.key)
    return jnp.square(error).mean(), Aux({"seen": mean(context.batch["image"])})


UPDATE = minimize(loss, optax.adam(0.1), wrt="n")


def begin(step=0):
    state = init_state(UPDATE, {"n": {"params": jnp.zeros(())}}, jax.random.key(0))
    return state._replace(step=jnp.int32(step))


def indices(step):
    return np.array([step % SIZE, (step + 1) % SIZE], np.int32)


ONE = by_jit(make_mesh())
FEED = Feed(
    shared=DATA,
    choices=lambda start, stop: (indices(step) for step in range(start, stop)),
    select=lambda data, index: {name: array[index] for name, array in data.items()},
)


def run(state, steps, **options):
    state = ONE.put_state(state)
    progress = list(train(make_step(UPDATE), state, FEED, ONE, steps=steps, dispatch=DISPATCH, **options))
    return progress[-1].state, [m for p in progress for m in p.measured], progress


def raw(state):
    return state._replace(key=jax.random.key_data(state.key))


def test_training_is_a_loop_over_the_chosen_batches():
    steps = DISPATCH + 3
    state, _, _ = run(begin(), steps)
    expected, step = begin(), jax.jit(make_step(UPDATE))
    for n in range(steps):
        expected, _ = step(expected, {"image": jnp.asarray(DATA["image"][indices(n)])})
    chex.assert_trees_all_equal(raw(state), raw(expected))


def test_every_step_is_measured_once_and_one_dispatch_behind():
    steps = 2 * DISPATCH + 3
    _, measured, progress = run(begin(), steps)
    assert [(p.step, [m.step for m in p.measured]) for p in progress] == [
        (DISPATCH, []),
        (2 * DISPATCH, [DISPATCH]),
        (steps, [2 * DISPATCH, steps]),
    ]
    last = np.mean([DATA["image"][indices(n)].mean() for n in range(2 * DISPATCH, steps)])
    np.testing.assert_allclose(measured[-1].means["seen"], last, rtol=1e-6)


def test_dispatches_end_at_the_same_steps_wherever_training_began():
    middle, _, _ = run(begin(), DISPATCH - 7)
    resumed, measured, _ = run(middle, 2 * DISPATCH)
    assert [m.step for m in measured] == [DISPATCH, 2 * DISPATCH]
    chex.assert_trees_all_equal(raw(resumed), raw(run(begin(), 2 * DISPATCH)[0]))


def test_at_a_halt_everything_before_it_has_been_measured():
    _, measured, progress = run(begin(), 30, halts=(6, 15))
    assert [m.step for m in measured] == [6, 10, 12, 15, 18, 20, 24, 30]
    for p in progress:
        if p.step in (6, 12, 15, 18, 24, 30):
            assert p.measured[-1].step == p.step
    chex.assert_trees_all_equal(raw(run(begin(), 30)[0]), raw(progress[-1].state))


def test_times_are_those_at_which_each_dispatch_was_done():
    _, measured, _ = run(begin(), 30, halts=(10,))
    times = [m.time for m in measured]
    assert times == sorted(set(times))


def test_stopping_loses_no_measurement():
    asked = iter([False, False, True])
    _, measured, _ = run(begin(), 10 * DISPATCH, stop=lambda: next(asked))
    assert [m.step for m in measured] == [DISPATCH, 2 * DISPATCH]


def test_a_finished_run_does_nothing():
    assert list(train(make_step(UPDATE), begin(step=9), FEED, ONE, steps=9, dispatch=DISPATCH)) == []


def test_nothing_is_compiled_after_the_first_dispatch():
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    try:
        state = ONE.put_state(begin())
        training = train(make_step(UPDATE), state, FEED, ONE, steps=3 * DISPATCH + 7, dispatch=DISPATCH)
        next(training)
        assert compiled
        compiled.clear()
        for _ in training:
            pass
        assert not compiled
    finally:
        jax.monitoring.clear_event_listeners()


def test_the_memory_of_a_state_is_used_again():
    state, dispatch = ONE.put_state(begin()), ONE.compile(many_steps(make_step(UPDATE), FEED.select))
    chosen = np.zeros((DISPATCH, 2), np.int32)
    dispatch(state, ONE.put_rows(DATA), ONE.put_sharded(chosen), np.int32(1))
    assert state.networks["n"]["params"].is_deleted()
