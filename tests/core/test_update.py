import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from jaxgen import Aux, Update, chain, ema, every, mean, minimize, phases, simultaneous, until, when
from jaxgen.core.objective import stream
from tests import toys


def apply(update, networks, context):
    networks, state = update.init(networks)
    return update.update(networks, state, context)


def test_minimize_with_sgd_is_one_step_down_the_gradient():
    networks, context = toys.networks(), toys.context()
    after, _, metrics = apply(minimize(toys.generate, optax.sgd(0.1), wrt="generator"), networks, context)
    g, d = toys.w(networks, "generator"), toys.w(networks, "discriminator")
    gradient = 2 * (g * d - context.batch["image"]) * d
    np.testing.assert_allclose(toys.w(after, "generator"), g - 0.1 * gradient, rtol=1e-6)
    np.testing.assert_array_equal(toys.w(after, "discriminator"), d)
    assert metrics["loss"].total == toys.generate(networks, context)[0]


def test_minimize_over_two_networks_is_one_optimiser_over_both():
    networks, context = toys.networks(), toys.context()
    tx = optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(1.0))
    after, _, _ = apply(minimize(toys.generate, tx, wrt=("generator", "discriminator")), networks, context)
    moved = [toys.w(after, name) - toys.w(networks, name) for name in ("generator", "discriminator")]
    assert np.linalg.norm(moved) == pytest.approx(0.01, rel=1e-4)


def test_minimize_keeps_the_changes_of_its_loss_and_the_value_for_its_optimiser():
    seen = []

    def watch(updates, state, params=None, *, value, **_):
        seen.append(value)
        return updates, state

    tx = optax.GradientTransformationExtraArgs(lambda params: (), watch)
    networks, context = toys.networks(), toys.context()
    after, _, _ = apply(minimize(toys.discriminate, tx, wrt="discriminator"), networks, context)
    assert after["discriminator"]["batch_stats"]["passes"] == 1
    assert seen == [toys.discriminate(networks, context)[0]]


def test_a_chain_is_its_links_applied_in_turn():
    first = minimize(toys.discriminate, optax.adam(0.1), wrt="discriminator")
    second = minimize(toys.generate, optax.adam(0.1), wrt="generator")
    networks, context = toys.networks(), toys.context()
    by_chain, state, _ = apply(chain(d=first, g=second), networks, context)
    by_hand, d_state, _ = apply(first, networks, stream(context, "d"))
    by_hand, g_state, _ = apply(second, by_hand, stream(context, "g"))
    chex.assert_trees_all_equal(by_chain, by_hand)
    chex.assert_trees_all_equal(state, {"d": d_state, "g": g_state})


def test_a_chain_names_metrics_and_state_by_link():
    links = {"d": minimize(toys.discriminate, optax.sgd(0.1), wrt="discriminator"), "a": ema("generator", "mean", 0.5)}
    _, state, metrics = apply(chain(**links), toys.networks(), toys.context())
    assert set(state) == {"d", "a"}
    assert set(metrics) == {"d/loss", "d/error"}


def test_the_place_of_a_link_changes_no_draw():
    discriminate = minimize(toys.discriminate, optax.sgd(0.0), wrt="discriminator")
    generate = minimize(toys.generate, optax.sgd(0.0), wrt="generator")
    _, _, one = apply(chain(d=discriminate, g=generate), toys.networks(), toys.context())
    _, _, other = apply(chain(g=generate, d=discriminate), toys.networks(), toys.context())
    chex.assert_trees_all_equal(one, other)


def test_chains_nest():
    discriminate = minimize(toys.discriminate, optax.sgd(0.1), wrt="discriminator")
    _, _, metrics = apply(chain(outer=chain(inner=discriminate)), toys.networks(), toys.context())
    assert set(metrics) == {"outer/inner/loss", "outer/inner/error"}


def game(networks, context):
    """Both toys' losses from one random draw."""
    noise = jax.random.normal(context.key, (toys.SIZE,))
    fake = toys.w(networks, "generator") * noise
    logits = toys.w(networks, "discriminator") * fake
    losses = {"discriminator": jax.nn.softplus(logits).mean(), "generator": jax.nn.softplus(-logits).mean()}
    return losses, Aux({"logit": mean(logits)})


def test_simultaneous_descent_equals_separate_descents_from_the_same_point():
    def alone(name):
        def loss(networks, context):
            losses, aux = game(networks, context)
            return losses[name], aux

        return minimize(loss, optax.adam(0.1), wrt=name)

    networks, context = toys.networks(), toys.context()
    txs = {"discriminator": optax.adam(0.1), "generator": optax.adam(0.1)}
    together, _, metrics = apply(simultaneous(game, txs), networks, context)
    for name in txs:
        separate, _, _ = apply(alone(name), networks, context)
        np.testing.assert_allclose(toys.w(together, name), toys.w(separate, name), rtol=1e-6)
    assert set(metrics) == {"discriminator/loss", "generator/loss", "logit"}


def test_a_player_may_have_an_optimiser_that_looks_at_its_loss():
    tx = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau())
    after, _, _ = apply(simultaneous(game, {"discriminator": tx, "generator": tx}), toys.networks(), toys.context())
    assert (toys.w(after, "generator") != toys.w(toys.networks(), "generator")).any()


def test_a_game_without_a_loss_for_each_player_is_refused():
    txs = {"generator": optax.sgd(0.1)}
    with pytest.raises(ValueError, match=r"losses for \['discriminator', 'generator'\]; expected .* \['generator'\]"):
        apply(simultaneous(game, txs), toys.networks(), toys.context())


def test_every_runs_on_each_kth_step_and_else_changes_and_measures_nothing():
    update = every(3, minimize(toys.discriminate, optax.adam(0.1), wrt="discriminator"))
    networks, state = update.init(toys.networks())
    for step in range(7):
        after, after_state, metrics = update.update(networks, state, toys.context(step))
        if step % 3 == 0:
            assert (toys.w(after, "discriminator") != toys.w(networks, "discriminator")).all()
            assert metrics["loss"].count == 1
        else:
            chex.assert_trees_all_equal((after, after_state), (networks, state))
            assert metrics["loss"].count == 0
        networks, state = after, after_state


def test_until_runs_on_the_first_steps_and_then_changes_and_measures_nothing():
    inner = minimize(toys.discriminate, optax.adam(0.1), wrt="discriminator")
    networks, state = inner.init(toys.networks())
    # Both compiled, as a branch is: operation by operation may be rounded otherwise.
    due, always = (jax.jit(u.update)(networks, state, toys.context(2)) for u in (until(3, inner), inner))
    chex.assert_trees_all_equal(due, always)
    after, after_state, metrics = until(3, inner).update(networks, state, toys.context(3))
    chex.assert_trees_all_equal((after, after_state), (networks, state))
    assert metrics["loss"].count == 0


@pytest.mark.parametrize(
    ("shorthand", "predicate"),
    [(lambda u: every(3, u), lambda step: step % 3 == 0), (lambda u: until(3, u), lambda step: step < 3)],
)
def test_every_and_until_are_predicates_of_the_step(shorthand, predicate):
    inner = minimize(toys.discriminate, optax.adam(0.1), wrt="discriminator")
    networks, state = inner.init(toys.networks())
    for step in range(5):
        one, other = (u.update(networks, state, toys.context(step)) for u in (shorthand(inner), when(predicate, inner)))
        chex.assert_trees_all_equal(one, other)
    assert shorthand(inner).owns == when(predicate, inner).owns == inner.owns


def test_phases_are_two_optimisers_of_one_network_one_after_the_other():
    links = {
        "before": minimize(toys.discriminate, optax.adam(0.1), wrt="discriminator"),
        "after": minimize(toys.generate, optax.sgd(0.01), wrt="discriminator"),
    }
    update = phases(3, **links)
    networks, state = update.init(toys.networks())
    by_hand, states = toys.networks(), {name: link.init(toys.networks())[1] for name, link in links.items()}
    steps = {name: jax.jit(link.update) for name, link in links.items()}
    for step in range(5):
        name, other = ("before", "after") if step < 3 else ("after", "before")
        networks, state, metrics = jax.jit(update.update)(networks, state, toys.context(step))
        by_hand, states[name], measured = steps[name](by_hand, states[name], stream(toys.context(step), name))
        chex.assert_trees_all_equal((networks, state), (by_hand, states))
        chex.assert_trees_all_equal(metrics[f"{name}/loss"], measured["loss"])
        assert metrics[f"{other}/loss"].count == 0
    assert update.owns == ("discriminator",)


def test_phases_have_one_owner_in_a_chain():
    link = minimize(toys.generate, optax.sgd(0.1), wrt="generator")
    pretrained = phases(2, before=link, after=link)
    chain(g=pretrained, average=ema("generator", "mean", 0.5)).init(toys.networks())
    with pytest.raises(ValueError, match=r"'generator' is trained by .* 'g' and 'again'.*phases\("):
        chain(g=pretrained, again=link).init(toys.networks())


def test_losses_name_metrics_of_the_update():
    link = minimize(toys.generate, optax.sgd(0.1), wrt="generator")
    d = minimize(toys.discriminate, optax.sgd(0.1), wrt="discriminator")
    players = simultaneous(game, {"discriminator": optax.sgd(0.1), "generator": optax.sgd(0.1)})
    for update, losses in [
        (link, {"loss"}),
        (players, {"discriminator/loss", "generator/loss"}),
        (chain(g=link, d=every(2, d), average=ema("generator", "mean", 0.5)), {"g/loss", "d/loss"}),
        (phases(1, before=link, after=chain(g=link)), {"before/loss", "after/g/loss"}),
        (ema("generator", "mean", 0.5), set()),
    ]:
        _, _, metrics = apply(update, toys.networks(), toys.context())
        assert set(update.losses) == losses <= set(metrics)


def test_an_average_has_its_closed_form():
    update = chain(g=minimize(toys.generate, optax.sgd(0.1), wrt="generator"), a=ema("generator", "mean", 0.9))
    networks, state = update.init(toys.networks())
    expected = toys.w(networks, "generator")
    for step in range(5):
        networks, state, _ = update.update(networks, state, toys.context(step))
        expected = 0.9 * expected + 0.1 * toys.w(networks, "generator")
    np.testing.assert_allclose(toys.w(networks, "mean"), expected, rtol=1e-6)


def test_an_average_covers_statistics_follows_a_schedule_and_copies_whole_numbers():
    networks = {"n": {"params": jnp.ones(2), "statistics": {"mean": jnp.zeros(2), "count": jnp.int32(3)}}}
    update = ema("n", into="average", decay=lambda step: step / 4.0)
    networks, state = update.init(networks)
    networks = networks | {"n": jax.tree.map(lambda leaf: leaf + 4, networks["n"])}
    after, _, _ = update.update(networks, state, toys.context(step=1))
    np.testing.assert_array_equal(after["average"]["statistics"]["mean"], jnp.full(2, 3.0))
    assert after["average"]["statistics"]["count"] == 7


def test_an_average_begins_as_a_copy_unless_one_is_given():
    begun, _ = ema("generator", "mean", 0.5).init(toys.networks())
    chex.assert_trees_all_equal(begun["mean"], begun["generator"])
    assert toys.w(begun, "mean") is not toys.w(begun, "generator")
    given = {**toys.networks(), "mean": {"params": {"w": jnp.zeros(toys.SIZE)}}}
    assert (toys.w(ema("generator", "mean", 0.5).init(given)[0], "mean") == 0).all()


def test_a_network_with_two_optimisers_in_a_chain_is_refused_at_init():
    discriminate = minimize(toys.discriminate, optax.sgd(0.1), wrt="discriminator")
    update = chain(adversarial=discriminate, average=ema("generator", "mean", 0.5), inner=chain(r1=discriminate))
    with pytest.raises(ValueError, match=r"'discriminator' is trained by .* 'adversarial' and 'inner'.*add\("):
        update.init(toys.networks())


@pytest.mark.parametrize(
    "update",
    [
        minimize(toys.discriminate, optax.sgd(0.1), wrt="critic"),
        simultaneous(game, {"critic": optax.sgd(0.1)}),
        ema("critic", into="mean", decay=0.5),
        every(2, minimize(toys.discriminate, optax.sgd(0.1), wrt=("generator", "critic"))),
    ],
)
def test_a_name_that_is_no_network_is_refused_at_init(update):
    with pytest.raises(ValueError, match=r"'critic' is not a network; the networks are 'discriminator', 'generator'"):
        update.init(toys.networks())


def test_an_odd_algorithm_is_a_pair_written_by_hand():
    def halve(networks, state, context):
        return networks | {"generator": jax.tree.map(lambda leaf: leaf / 2, networks["generator"])}, state + 1, {}

    by_hand = Update(init=lambda networks: (networks, jnp.int32(0)), update=halve)
    after, state, _ = apply(
        chain(halve=by_hand, average=ema("generator", "mean", 0.0)), toys.networks(), toys.context()
    )
    np.testing.assert_array_equal(toys.w(after, "mean"), toys.w(toys.networks(), "generator") / 2)
    assert state["halve"] == 1


def test_a_latent_is_a_network_like_any_other():
    target = toys.batch()["image"]

    def distance(networks, context):
        return jnp.square(networks["latent"]["params"] - target).sum(), Aux()

    update = minimize(distance, optax.sgd(0.5), wrt="latent")
    after, _, _ = apply(update, {"latent": {"params": jnp.zeros(toys.SIZE)}}, toys.context())
    np.testing.assert_allclose(after["latent"]["params"], target, rtol=1e-6)
