import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Aux, add, init_state, lazily, mean, minimize, renamed, scale
from jaxgen.core.objective import share, shared, stream
from tests import toys


def test_a_sum_is_the_sum_of_its_terms_in_their_own_streams():
    networks, context = toys.networks(), toys.context()
    value, _ = add(a=toys.discriminate, b=toys.generate)(networks, context)
    by_hand = toys.discriminate(networks, stream(context, "a"))[0] + toys.generate(networks, stream(context, "b"))[0]
    assert value == by_hand


def test_reordering_a_sum_changes_no_draw():
    networks, context = toys.networks(), toys.context()
    _, one = add(a=toys.discriminate, b=toys.discriminate)(networks, context)
    _, other = add(b=toys.discriminate, a=toys.discriminate)(networks, context)
    chex.assert_trees_all_equal(one.metrics, other.metrics)


def test_terms_of_different_names_draw_differently():
    networks, context = toys.networks(), toys.context()
    _, aux = add(a=toys.discriminate, b=toys.discriminate)(networks, context)
    assert aux.metrics["a"].total != aux.metrics["b"].total


def test_a_sum_names_its_metrics_by_term():
    _, aux = add(a=toys.discriminate, b=toys.generate)(toys.networks(), toys.context())
    assert set(aux.metrics) == {"a", "a/error", "b", "b/value"}


def test_each_term_sees_the_statistics_that_earlier_ones_left():
    _, aux = add(a=toys.discriminate, b=toys.generate, c=toys.discriminate)(toys.networks(), toys.context())
    assert aux.changes["discriminator"]["batch_stats"]["passes"] == 2


def test_a_weight_scales_value_and_gradient_and_no_metric():
    networks, context = toys.networks(), toys.context()
    (value, aux), gradient = jax.value_and_grad(toys.discriminate, has_aux=True)(networks, context)
    (scaled, scaled_aux), scaled_gradient = jax.value_and_grad(scale(4.0, toys.discriminate), has_aux=True)(
        networks, context
    )
    assert scaled == 4.0 * value
    chex.assert_trees_all_close(scaled_gradient, jax.tree.map(lambda leaf: 4.0 * leaf, gradient), rtol=1e-6)
    chex.assert_trees_all_equal(aux.metrics, scaled_aux.metrics)


def test_a_schedule_scales_by_its_value_at_the_step():
    warm_up = optax.linear_schedule(0.0, 1.0, transition_steps=4)
    value, _ = toys.generate(toys.networks(), toys.context())
    for step in range(5):
        scaled, _ = scale(warm_up, toys.generate)(toys.networks(), toys.context(step))
        assert scaled == pytest.approx(float(value) * step / 4)


def test_a_lazy_loss_is_k_times_itself_every_kth_step_and_else_nothing():
    lazy = lazily(3, toys.discriminate)
    for step in range(7):
        networks, context = toys.networks(), toys.context(step)
        value, aux = toys.discriminate(networks, context)
        lazy_value, lazy_aux = lazy(networks, context)
        if step % 3 == 0:
            assert lazy_value == 3 * value
            chex.assert_trees_all_equal(lazy_aux.metrics, aux.metrics)
        else:
            assert lazy_value == 0
            assert lazy_aux.metrics["error"].count == 0
        assert lazy_aux.changes["discriminator"]["batch_stats"]["passes"] == (step % 3 == 0)


def test_the_terms_of_a_sum_add_up_to_it_whether_a_lazy_one_runs_or_not():
    for step in range(4):
        value, aux = add(a=toys.discriminate, b=lazily(3, toys.discriminate))(toys.networks(), toys.context(step))
        assert value == pytest.approx(float(aux.metrics["a"].total + aux.metrics["b"].total), rel=1e-6)
        assert (aux.metrics["b"].total == 0) == (step % 3 != 0)
        assert aux.metrics["b/error"].count == (toys.SIZE if step % 3 == 0 else 0)


def test_a_skipped_lazy_loss_has_no_gradient():
    def gradient(step):
        def loss(w):
            networks = toys.networks() | {"generator": {"params": {"w": w}}}
            return lazily(2, toys.generate)(networks, toys.context(step))[0]

        return jax.grad(loss)(toys.w(toys.networks(), "generator"))

    assert (gradient(1) == 0).all()
    assert (gradient(2) != 0).all()


def curved(networks, context):
    """Value, metric and statistics are all curved functions of both networks."""
    g, d = toys.w(networks, "generator"), toys.w(networks, "discriminator")
    changes = {"discriminator": {"batch_stats": {"passes": (g**3 * d).sum()}}}
    return jnp.sin(g * d).sum() * jnp.exp(d).sum(), Aux({"norm": mean(g * d**2)}, changes)


DERIVATIVES = {
    "forwards": jax.jacfwd,
    "backwards": jax.jacrev,
    "forwards twice": lambda f: jax.jacfwd(jax.jacfwd(f)),
    "backwards twice": lambda f: jax.jacrev(jax.jacrev(f)),
    "forwards, backwards": lambda f: jax.jacfwd(jax.jacrev(f)),
    "backwards, forwards": lambda f: jax.jacrev(jax.jacfwd(f)),
}


@pytest.mark.parametrize("derivative", DERIVATIVES)
def test_a_lazy_loss_has_the_derivatives_of_its_loss_in_value_metrics_and_changes(derivative):
    def outputs(loss, step):
        def of(w):
            networks = toys.networks() | {"generator": {"params": {"w": w}}}
            value, aux = loss(networks, toys.context(step))
            return jnp.stack([value, aux.metrics["norm"].total, aux.changes["discriminator"]["batch_stats"]["passes"]])

        return DERIVATIVES[derivative](of)(toys.w(toys.networks(), "generator"))

    value, *others = outputs(curved, 0)
    expected, lazy = jnp.stack([2 * value, *others]), lazily(2, curved)
    np.testing.assert_allclose(outputs(lazy, 0), expected, rtol=1e-5, atol=1e-6)  # products in another order
    np.testing.assert_array_equal(outputs(lazy, 1), 0 * expected)


def test_a_lazy_loss_is_differentiated_in_what_it_closes_over_and_in_a_batch_of_it():
    def value(w, step):
        def loss(networks, context):
            return (w**3 * context.batch["image"]).sum() + jax.random.normal(context.key), Aux()

        return lazily(2, lazily(3, loss))(toys.networks(), toys.context(step))[0]

    ws, steps = jnp.arange(12.0).reshape(4, 3), jnp.array([0, 2, 3, 6])
    gradients = jax.vmap(jax.grad(value))(ws, steps)
    due = jnp.array([6, 0, 0, 6])[:, None]
    np.testing.assert_allclose(gradients, due * 3 * ws**2 * toys.batch()["image"], rtol=1e-6)


def test_a_lazy_loss_hands_its_gradient_and_none_of_its_activations_to_the_backward_pass():
    def loss(networks, context):
        activations = jnp.tanh(jnp.linspace(0, 1, 700)[:, None] * toys.w(networks, "generator"))
        return jnp.square(activations).mean(), Aux({"activations": mean(activations)})

    def gradient(networks, step):
        return jax.grad(add(lazy=lazily(2, loss)), has_aux=True)(networks, toys.context(step))

    program = jax.jit(gradient).lower(toys.networks(), jnp.int32(0)).compile().as_text()
    conditionals = [line for line in program.splitlines() if " conditional(" in line]
    assert conditionals
    assert not any("700" in line.split(" conditional(")[0] for line in conditionals)


@pytest.mark.parametrize("k", [0, -1, 2.5])
def test_a_period_that_is_no_positive_whole_number_is_refused(k):
    with pytest.raises(ValueError, match=rf"period of {k} .* at least 1"):
        lazily(k, toys.discriminate)


def test_a_term_that_is_no_scalar_is_named():
    def per_example(networks, context):
        return jnp.zeros(4), Aux()

    with pytest.raises(ValueError, match=r"'bad' of add is float32\[4\]; expected float32\[\]"):
        add(good=toys.discriminate, bad=per_example)(toys.networks(), toys.context())


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (jnp.zeros(()), "returns .*; expected a pair: a value and an Aux"),
        ((jnp.zeros(()), {}), "returns tuple; expected a pair"),
        ((jnp.zeros(()), Aux({"accuracy": jnp.zeros(())})), "measures 'accuracy' as .*; expected a Mean"),
        ((jnp.zeros(()), Aux(changes={"critic": {}})), "'critic' is not a network"),
    ],
)
@pytest.mark.parametrize("combine", [lambda loss: add(a=loss), lambda loss: lazily(2, loss)])
def test_what_is_no_loss_is_refused(combine, result, message):
    update = minimize(combine(lambda networks, context: result), optax.sgd(0.1), wrt="generator")
    with pytest.raises(ValueError, match=message):
        init_state(update, toys.networks(), jax.random.key(0), toys.batch())


def test_a_renamed_loss_reads_and_changes_the_other_network():
    networks, context = toys.networks(), toys.context()
    other = {**toys.networks(seed=7), "judge": networks["discriminator"]}
    loss = renamed(toys.discriminate, discriminator="judge")
    (value, aux), (expected, _) = loss(other, context), toys.discriminate(networks, context)
    assert value == expected != toys.discriminate(other, context)[0]
    assert aux.changes.keys() == {"judge"}
    with pytest.raises(ValueError, match="'judge' is not a network"):
        loss(networks, context)


def test_objectives_nest():
    networks, context = toys.networks(), toys.context()
    nested = add(a=lazily(1, scale(2.0, toys.generate)), b=scale(0.5, add(c=toys.generate)))
    assert nested(networks, context)[0] == pytest.approx(2.5 * float(toys.generate(networks, context)[0]), rel=1e-6)
    minimize(nested, optax.sgd(0.1), wrt="generator")


def test_a_shared_value_is_found_under_an_equal_owner_in_every_stream():
    context = share(share(toys.context(), ("gan", 1), "of one"), ("gan", 2), "of two")
    assert shared(stream(context, "a"), ("gan", 1)) == "of one"
    assert shared(context, ("gan", 2)) == "of two"
    assert shared(share(context, ("gan", 1), "anew"), ("gan", 1)) == "anew"
    assert shared(context, ("gan", 3)) is None
    assert shared(toys.context(), ("gan", 1)) is None


def test_all_terms_of_a_sum_see_what_was_shared():
    def loss(networks, context):
        return shared(context, "images").sum(), Aux()

    context = share(toys.context(), "images", jnp.arange(3.0))
    assert add(a=loss, b=lazily(1, scale(2.0, loss)))(toys.networks(), context)[0] == 9
