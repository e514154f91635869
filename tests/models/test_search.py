"""Search over a generator and rewards whose best images are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import to_float, to_uint8
from jaxgen.core.controls import Controls
from jaxgen.core.reward import Scores
from jaxgen.core.sampler import image_keys
from jaxgen.models import ascend, best_of, carry_out, evolve
from jaxgen.models.latents.search import Found, Round

SIZE = 6
CONTROLS = Controls(
    draw=lambda seed, index: jax.vmap(lambda key: jax.random.normal(key, (SIZE,)))(image_keys(seed, index)),
    codes=lambda latents, _: latents[:, None],
    # Pixels are the latents, with [-8, 8] brought to [-1, 1].
    generate=lambda codes, latents, _: codes.reshape(-1, 2, 3, 1) / 8,
    first_layer=lambda codes: codes[:, 0],
)
TARGET = jnp.array([0.5, -1.0, 1.5, 0.0, -0.5, 1.0])


def reward(images):
    """A quadratic in latents."""
    return -jnp.square(8 * images.reshape(-1, SIZE) - TARGET).sum(1)


def score(images):
    return Scores(np.asarray(reward(images)))


def draw(start, num):
    latents = CONTROLS.draw(jnp.uint32(5), jnp.arange(start, start + num))
    return np.asarray(to_uint8(CONTROLS.generate(latents[:, None], latents, {})))


def method(name, *, seed=5, budget):
    if name == "best":
        return best_of(draw, score, budget=budget)
    if name == "evolution":
        pytest.importorskip("cmaes")
        return evolve(CONTROLS, score, {}, seed=seed, budget=budget)
    return ascend(CONTROLS, reward, {}, seed=seed, budget=budget)


def test_best_of_n_finds_the_images_of_the_largest_rewards():
    rewards = score(to_float(jnp.asarray(draw(0, 150)))).rewards
    found = carry_out(method("best", budget=150), 4)
    order = np.argsort(-rewards, kind="stable")[:4]
    np.testing.assert_array_equal(found.arrays["number"], order)
    np.testing.assert_allclose(found.rewards, rewards[order], rtol=1e-6)
    np.testing.assert_array_equal(found.arrays["images"], draw(0, 150)[order])
    np.testing.assert_allclose(found.curve, np.maximum.accumulate(rewards), rtol=1e-6)


def test_evolution_finds_the_maximum():
    found = carry_out(method("evolution", budget=1_000), 3)
    # Grey levels are 16 / 255 apart: rounding costs at most half of it in each of six latents.
    assert found.rewards[0] > -SIZE * (8 / 255) ** 2 * 1.01
    np.testing.assert_allclose(found.arrays["latents"][0], TARGET, atol=0.1)


def test_gradients_find_the_maximum_among_latents_of_the_norm_that_was_drawn():
    found = carry_out(method("gradient", budget=300), 3)
    start = CONTROLS.draw(jnp.uint32(5), jnp.asarray(found.origin[:1]))
    many = CONTROLS.draw(jnp.uint32(6), jnp.arange(500))
    mean, deviation = many.mean(0), many.std(0)
    radius = jnp.linalg.norm((start - mean) / deviation)
    codes = (found.arrays["codes"][0, 0] - mean) / deviation
    np.testing.assert_allclose(jnp.linalg.norm(codes), radius, rtol=1e-5)
    # There the gradient of the reward is parallel to the codes: no direction along the sphere is better.
    slope = deviation * (TARGET - found.arrays["codes"][0, 0])
    along = slope - codes * (slope @ codes) / (codes @ codes)
    at_start = deviation * (TARGET - start[0])
    assert jnp.linalg.norm(along) < 0.05 * jnp.linalg.norm(at_start)
    np.testing.assert_allclose(
        found.rewards[0], reward(CONTROLS.generate(found.arrays["codes"][:1], None, {}))[0], rtol=1e-4
    )


@pytest.mark.parametrize("name", ["best", "evolution", "gradient"])
@pytest.mark.parametrize("budget", [1, 40])
def test_a_search_spends_its_budget_starts_with_image_0_and_keeps_the_best_that_it_has_seen(name, budget):
    found, again = (carry_out(method(name, budget=budget), 3) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, found, again)
    assert budget - 1 <= len(found.curve) <= budget
    assert found.rewards[0] == found.curve[-1]
    assert (np.diff(found.rewards) <= 0).all()
    assert len(set(found.origin)) == len(found.rewards) <= 3
    # Grey levels are 16 / 255 apart, and the reward's slope is 2 (z - target) for each of six latents.
    np.testing.assert_allclose(found.curve[0], score(to_float(jnp.asarray(draw(0, 1)))).rewards[0], atol=1.0)


def test_another_seed_draws_other_latents():
    pytest.importorskip("cmaes")
    one, other = (carry_out(method("evolution", seed=seed, budget=30), 1) for seed in (5, 6))
    assert (one.arrays["latents"] != other.arrays["latents"]).all()


def test_a_failure_ends_a_search_with_the_images_that_have_rewards():
    def fail(images):
        rewards = np.asarray(reward(images)).copy()
        rewards[:2] = np.nan, np.inf
        return Scores(rewards, "it failed")

    found = carry_out(best_of(draw, fail, budget=100), 2)
    assert found.failure == "it failed"
    assert len(found.curve) == 64  # those of the first round
    assert np.isnan(found.curve).tolist() == [True, True, *[False] * 62]
    assert np.isfinite(found.rewards).all()
    none = Round(Scores(np.full(2, np.nan, np.float32), "all"), np.arange(2), {"images": np.zeros((2, 1, 1, 1))}, 2)
    assert Found().after(none, 3).rewards.size == 0


def test_codes_of_layers_keep_the_norm_of_standardised_codes():
    # Two layers with codes of another mean and deviation than latents.
    layered = CONTROLS._replace(
        codes=lambda latents, _: jnp.stack([3 + 0.1 * latents, latents], axis=1),
        generate=lambda codes, latents, _: ((codes[:, 0] - 3) * 10 + codes[:, 1]).reshape(-1, 2, 3, 1) / 16,
    )
    found = carry_out(ascend(layered, lambda images: images.sum((1, 2, 3)), {}, seed=0, budget=120), 1)
    assert found.rewards[0] > found.curve[59]
    layers = (found.arrays["codes"][0] - jnp.array([[3.0], [0.0]])) / jnp.array([[0.1], [1.0]])
    start = jnp.linalg.norm(layered.draw(jnp.uint32(0), jnp.asarray(found.origin))) * jnp.sqrt(2)
    np.testing.assert_allclose(jnp.linalg.norm(layers), start, rtol=0.2)  # 500 codes give their mean and deviation
    np.testing.assert_allclose(layers[0], layers[1], atol=0.3)  # the reward and the start treat both layers alike
