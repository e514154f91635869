"""Likelihoods: normalised, as defined, and drawn from as they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxgen import to_float, to_uint8
from jaxgen.losses import (
    bernoulli,
    categorical,
    discretized_logistic_mixture,
    gaussian,
    learned_gaussian,
    require_num_params,
)

ALL_LEVELS = jnp.arange(256, dtype=jnp.uint8)[:, None, None, None]
DISCRETE = {
    "categorical": (categorical(), 3.0),
    "mixture": (discretized_logistic_mixture(3), 1.0),
    "narrow mixture": (discretized_logistic_mixture(2), 6.0),
}
EVERY = {
    **DISCRETE,
    "bernoulli": (bernoulli(), 1.0),
    "gaussian": (gaussian(), 1.0),
    "learned": (learned_gaussian(), 1.0),
}


LOG_PROB = {name: jax.jit(likelihood.log_prob) for name, (likelihood, _) in EVERY.items()}


def dist_params(likelihood, channels, shape=(), scale=1.0, seed=0):
    return scale * jax.random.normal(jax.random.key(seed), (*shape, likelihood.dist_params(channels)))


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("seed", range(3))
def test_levels_have_probabilities_that_sum_to_one(name, seed):
    likelihood, scale = DISCRETE[name]
    log_prob = LOG_PROB[name](dist_params(likelihood, 1, (1, 1), scale, seed), ALL_LEVELS)
    assert log_prob.shape == (256,)
    np.testing.assert_allclose(np.exp(np.asarray(log_prob, np.float64)).sum(), 1, rtol=1e-4)


@pytest.mark.parametrize("levels", [2, 5])
def test_fewer_levels_sum_to_one_too(levels):
    likelihood = categorical(levels)
    images = to_uint8(jnp.linspace(-1, 1, levels))[:, None, None, None]
    log_prob = likelihood.log_prob(dist_params(likelihood, 1, (1, 1)), images)
    np.testing.assert_allclose(jnp.exp(log_prob).sum(), 1, rtol=1e-5)


def test_colours_have_probabilities_that_sum_to_one():
    likelihood = discretized_logistic_mixture(2)
    given = dist_params(likelihood, 3, (1, 1))
    green, blue = jnp.meshgrid(*[jnp.arange(256, dtype=jnp.uint8)] * 2)

    @jax.jit
    def of_red(red):
        images = jnp.stack([jnp.full(green.size, red, jnp.uint8), green.ravel(), blue.ravel()], -1)
        return jnp.exp(likelihood.log_prob(given, images[:, None, None])).sum()

    total = sum(float(of_red(red)) for red in range(256))
    assert total == pytest.approx(1, rel=1e-3)


def test_black_and_white_sum_to_one():
    images = jnp.array([0, 255], jnp.uint8)[:, None, None, None]
    log_prob = bernoulli().log_prob(jnp.full((1, 1, 1), 0.7), images)
    np.testing.assert_allclose(jnp.exp(log_prob), [1 - jax.nn.sigmoid(0.7), jax.nn.sigmoid(0.7)], rtol=1e-5)


def test_grey_under_bernoulli_is_the_expectation_over_binarised_images():
    grey, logit = jnp.full((1, 1, 1), 51, jnp.uint8), jnp.full((1, 1, 1), 0.7)  # 51 is a fifth of white
    black, white = (bernoulli().log_prob(logit, jnp.full((1, 1, 1), level, jnp.uint8)) for level in (0, 255))
    np.testing.assert_allclose(bernoulli().log_prob(logit, grey), 0.8 * black + 0.2 * white, rtol=1e-5)


def test_normal_densities_are_those_of_scipy():
    images = jax.random.randint(jax.random.key(1), (4, 3, 3, 1), 0, 256).astype(jnp.uint8)
    mean, log_variance = jax.random.normal(jax.random.key(0), (2, 4, 3, 3, 1))
    expected = stats.norm(mean, np.sqrt(0.3)).logpdf(to_float(images)).sum((1, 2, 3))
    np.testing.assert_allclose(gaussian(0.3).log_prob(mean, images), expected, rtol=1e-5)
    given = jnp.concatenate([mean, log_variance], axis=-1)
    scale = np.exp(0.5 * (np.log1p(np.exp(np.asarray(log_variance) + 7)) - 7))
    expected = stats.norm(mean, scale).logpdf(to_float(images)).sum((1, 2, 3))
    np.testing.assert_allclose(learned_gaussian().log_prob(given, images), expected, rtol=1e-4)


def test_a_variance_of_a_half_is_the_squared_error():
    images = jnp.zeros((1, 2, 2, 1), jnp.uint8)
    one, other = (gaussian().log_prob(jnp.full((1, 2, 2, 1), value), images) for value in (0.3, -0.2))
    np.testing.assert_allclose(other - one, 4 * (1.3**2 - 0.8**2), rtol=1e-5)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_summed_not_averaged(name, channels):
    likelihood, scale = EVERY[name]
    given = dist_params(likelihood, channels, (2, 1, 4, 4), scale)
    images = jax.random.randint(jax.random.key(1), (2, 1, 4, 4, channels), 0, 256).astype(jnp.uint8)
    apart = [LOG_PROB[name](given[..., i : i + 1, :, :], images[..., i : i + 1, :, :]) for i in range(4)]
    whole = LOG_PROB[name](given, images)
    assert whole.shape == (2, 1)
    np.testing.assert_allclose(whole, sum(apart), rtol=1e-4)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_mean_is_that_of_samples(name, channels):
    likelihood, _ = EVERY[name]
    given = dist_params(likelihood, channels, (1, 1), 0.3)
    if "mixture" in name:  # narrow components, whose mass is all within black and white or all beyond
        given = given - 5.0 * is_log_scale(likelihood, channels)
    drawn = jax.jit(jax.vmap(likelihood.sample, in_axes=(0, None)))(jax.random.split(jax.random.key(0), 10_000), given)
    assert drawn.shape == (10_000, 1, 1, channels)
    error = drawn.std(0) / 100
    assert (jnp.abs(drawn.mean(0) - likelihood.mean(given)) < 4 * error + 2e-3).all()


def test_a_component_beyond_black_is_black():
    likelihood = discretized_logistic_mixture(2)
    black_or_white = jnp.array([0.0, 0.0, -3.0, 1.0, -6.0, -6.0])[None, None]  # logits, means, log scales
    np.testing.assert_allclose(likelihood.mean(black_or_white), 0, atol=1e-6)
    levels = jnp.arange(256, dtype=jnp.uint8)[:, None, None, None]
    chances = jnp.exp(likelihood.log_prob(black_or_white, levels))
    np.testing.assert_allclose((chances * to_float(levels)[:, 0, 0, 0]).sum(), 0, atol=2e-3)


@pytest.mark.parametrize(
    ("likelihood", "count", "message"),
    [
        (bernoulli(), 3, "gives 3 numbers a pixel; its likelihood takes 1"),
        (learned_gaussian(), 1, "gives 1 numbers a pixel; its likelihood takes 2"),
        (discretized_logistic_mixture(5), 14, "gives 14 numbers a pixel; its likelihood takes 15"),
    ],
)
def test_a_network_with_too_few_or_too_many_outputs_is_told(likelihood, count, message):
    with pytest.raises(ValueError, match=message):
        require_num_params(likelihood, jnp.zeros((1, 2, 2, count)), 1)


def test_a_mixture_of_neither_grey_nor_colour_is_told():
    with pytest.raises(ValueError, match=r"given 14 numbers a pixel; expected 15 \(grey\) or 50 \(colour\)"):
        discretized_logistic_mixture(5).mean(jnp.zeros((1, 1, 14)))


def is_log_scale(likelihood, channels):
    total = likelihood.dist_params(channels)
    components = total // {1: 3, 3: 10}[channels]
    place = jnp.arange(total) // components
    return ((place > channels) & (place <= 2 * channels)).astype(jnp.float32)


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_of_a_mixture_have_its_probabilities(channels):
    likelihood = discretized_logistic_mixture(2)
    given = dist_params(likelihood, channels, (1, 1), 0.5)
    count = 50_000
    drawn = to_uint8(jax.vmap(likelihood.sample, in_axes=(0, None))(jax.random.split(jax.random.key(0), count), given))
    seen, often = np.unique(np.asarray(drawn).reshape(count, channels), axis=0, return_counts=True)
    common = np.argsort(-often)[:12]
    expected = jnp.exp(likelihood.log_prob(given, jnp.asarray(seen[common])[:, None, None]))
    error = np.sqrt(expected / count)
    assert (np.abs(often[common] / count - expected) < 5 * error).all()


def test_floats_are_refused_since_their_range_cannot_be_known():
    for likelihood, _ in EVERY.values():
        if likelihood.dist_params(1) != 256:
            with pytest.raises(TypeError, match="expected uint8"):
                likelihood.log_prob(dist_params(likelihood, 1, (1, 2, 2)), jnp.zeros((1, 2, 2, 1)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gaussian(0.0), "variance 0.0; expected one above 0"),
        (lambda: categorical(1), "1 levels; expected from 2 to 256"),
        (lambda: discretized_logistic_mixture(0), "0 components; expected at least 1"),
    ],
)
def test_what_is_no_likelihood_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
