"""Likelihoods: normalised, as defined, and drawn from as they say."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxgen import to_uint8
from jaxgen.losses import (
    bernoulli,
    categorical,
    discretized_logistic_mixture,
    gaussian,
    learned_gaussian,
    require_num_params,
)

ALL_LEVELS = np.arange(256, dtype=np.uint8)[:, None, None, None]
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
    given = np.random.default_rng(seed).normal(size=(*shape, likelihood.num_params(channels)))
    return (scale * given).astype(np.float32)


def some_images(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("seed", range(3))
def test_levels_have_probabilities_that_sum_to_one(name, seed):
    likelihood, scale = DISCRETE[name]
    log_prob = LOG_PROB[name](dist_params(likelihood, 1, (1, 1), scale, seed), ALL_LEVELS)
    assert log_prob.shape == (256,)
    np.testing.assert_allclose(np.exp(np.asarray(log_prob, np.float64)).sum(), 1, rtol=1e-4)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_likelihoods_of_a_network_gone_astray_have_finite_gradients(name, scale):
    given, images = dist_params(EVERY[name][0], 3, (4, 4), scale), some_images(4, 4, 3)
    value, slope = jax.jit(jax.value_and_grad(EVERY[name][0].log_prob))(given, images)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("levels", [2, 5])
def test_fewer_levels_sum_to_one_too(levels):
    likelihood = categorical(levels)
    images = np.round(np.linspace(0, 255, levels)).astype(np.uint8)[:, None, None, None]
    log_prob = jax.jit(likelihood.log_prob)(dist_params(likelihood, 1, (1, 1)), images)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1, rtol=1e-5)


def test_colours_have_probabilities_that_sum_to_one():
    likelihood = discretized_logistic_mixture(2)
    given = dist_params(likelihood, 3, (1, 1))
    green, blue = np.meshgrid(*[np.arange(256, dtype=np.uint8)] * 2)

    @jax.jit
    def of_red(red):
        images = jnp.stack([jnp.full(green.size, red, jnp.uint8), green.ravel(), blue.ravel()], -1)
        return jnp.exp(likelihood.log_prob(given, images[:, None, None])).sum()

    total = sum(float(of_red(red)) for red in range(256))
    assert total == pytest.approx(1, rel=1e-3)


def test_black_and_white_sum_to_one():
    images, white = np.array([0, 255], np.uint8)[:, None, None, None], 1 / (1 + np.exp(-0.7))
    log_prob = jax.jit(bernoulli().log_prob)(np.full((1, 1, 1), 0.7, np.float32), images)
    np.testing.assert_allclose(np.exp(log_prob), [1 - white, white], rtol=1e-5)


def test_grey_under_bernoulli_is_the_expectation_over_binarised_images():
    levels = np.array([51, 0, 255], np.uint8)[:, None, None, None]  # 51 is a fifth of white
    grey, black, white = np.asarray(jax.jit(bernoulli().log_prob)(np.full((1, 1, 1), 0.7, np.float32), levels))
    np.testing.assert_allclose(grey, 0.8 * black + 0.2 * white, rtol=1e-5)


def test_normal_densities_are_those_of_scipy():
    images = some_images(4, 3, 3, 1)
    pixels = images / 127.5 - 1
    mean, log_variance = np.random.default_rng(0).normal(size=(2, 4, 3, 3, 1)).astype(np.float32)
    expected = stats.norm(mean, np.sqrt(0.3)).logpdf(pixels).sum((1, 2, 3))
    np.testing.assert_allclose(jax.jit(gaussian(0.3).log_prob)(mean, images), expected, rtol=1e-5)
    given = np.concatenate([mean, log_variance], axis=-1)
    scale = np.exp(0.5 * (np.log1p(np.exp(log_variance + 7)) - 7))
    expected = stats.norm(mean, scale).logpdf(pixels).sum((1, 2, 3))
    np.testing.assert_allclose(LOG_PROB["learned"](given, images), expected, rtol=1e-4)


def test_a_variance_of_a_half_is_the_squared_error():
    images, means = np.zeros((1, 2, 2, 1), np.uint8), np.float32([0.3, -0.2])[:, None, None, None]
    one, other = np.asarray(LOG_PROB["gaussian"](np.broadcast_to(means, (2, 2, 2, 1)), images))
    np.testing.assert_allclose(other - one, 4 * (1.3**2 - 0.8**2), rtol=1e-5)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_summed_not_averaged(name, channels):
    likelihood, scale = EVERY[name]
    given = dist_params(likelihood, channels, (2, 1, 4, 4), scale)
    images = some_images(2, 1, 4, 4, channels)

    @jax.jit
    def compared(given, images):
        rows = [jnp.moveaxis(array, -3, 0)[..., None, :, :] for array in (given, images)]
        return likelihood.log_prob(given, images), jax.vmap(likelihood.log_prob)(*rows)

    whole, apart = compared(given, images)
    assert whole.shape == (2, 1)
    assert apart.shape == (4, 2, 1)
    np.testing.assert_allclose(whole, np.asarray(apart).sum(0), rtol=1e-4)


@partial(jax.jit, static_argnums=(0, 2))
def drawn_and_mean(likelihood, given, count):
    keys = jax.random.split(jax.random.key(0), count)
    return jax.vmap(likelihood.sample, in_axes=(0, None))(keys, given), likelihood.mean(given)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_mean_is_that_of_samples(name, channels):
    likelihood, _ = EVERY[name]
    given = dist_params(likelihood, channels, (1, 1), 0.3)
    if "mixture" in name:  # narrow components, whose mass is all within black and white or all beyond
        given = given - 5.0 * is_log_scale(likelihood, channels)
    drawn, mean = map(np.asarray, drawn_and_mean(likelihood, given, 10_000))
    assert drawn.shape == (10_000, 1, 1, channels)
    error = drawn.std(0) / 100
    assert (np.abs(drawn.mean(0) - mean) < 4 * error + 2e-3).all()


def test_a_component_beyond_black_is_black():
    likelihood = discretized_logistic_mixture(2)
    black_or_white = np.float32([0.0, 0.0, -3.0, 1.0, -6.0, -6.0])[None, None]  # logits, means, log scales
    np.testing.assert_allclose(jax.jit(likelihood.mean)(black_or_white), 0, atol=1e-6)
    chances = np.exp(LOG_PROB["narrow mixture"](black_or_white, ALL_LEVELS))
    np.testing.assert_allclose((chances * (ALL_LEVELS[:, 0, 0, 0] / 127.5 - 1)).sum(), 0, atol=2e-3)


@pytest.mark.parametrize(
    ("likelihood", "count", "message"),
    [
        (bernoulli(), 3, "has 3 outputs per pixel; its likelihood has 1 parameters"),
        (learned_gaussian(), 1, "has 1 outputs per pixel; its likelihood has 2 parameters"),
        (discretized_logistic_mixture(5), 14, "has 14 outputs per pixel; its likelihood has 15 parameters"),
    ],
)
def test_a_network_with_too_few_or_too_many_outputs_is_refused(likelihood, count, message):
    with pytest.raises(ValueError, match=message):
        require_num_params(likelihood, jnp.zeros((1, 2, 2, count)), 1)


def test_a_mixture_of_neither_grey_nor_colour_is_refused():
    with pytest.raises(ValueError, match=r"given 14 parameters per pixel; expected 15 \(grey\) or 50 \(colour\)"):
        discretized_logistic_mixture(5).mean(jnp.zeros((1, 1, 14)))


def is_log_scale(likelihood, channels):
    total = likelihood.num_params(channels)
    components = total // {1: 3, 3: 10}[channels]
    place = np.arange(total) // components
    return ((place > channels) & (place <= 2 * channels)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_of_a_mixture_have_its_probabilities(channels):
    likelihood = discretized_logistic_mixture(2)
    given = dist_params(likelihood, channels, (1, 1), 0.5)
    count = 50_000
    drawn = to_uint8(drawn_and_mean(likelihood, given, count)[0])
    seen, often = np.unique(np.asarray(drawn).reshape(count, channels), axis=0, return_counts=True)
    common = np.argsort(-often)[:12]
    expected = np.exp(jax.jit(likelihood.log_prob)(given, seen[common][:, None, None]))
    error = np.sqrt(expected / count)
    assert (np.abs(often[common] / count - expected) < 5 * error).all()


def test_floats_are_refused_since_their_range_cannot_be_known():
    for likelihood, _ in EVERY.values():
        if likelihood.num_params(1) != 256:
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
