"""Averages by power functions, and averages of other lengths made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import Context, ema
from jaxgen.models import EMAProfile, post_hoc_average, post_hoc_weights, power_decay
from jaxgen.models.ema import power_exponent
from tests.programs import float64
from tests.rounding import UNIT

STORED = (0.05, 0.1)


def averages_of(values, lengths):
    """The averages of values [T, ...] of a network, by power functions, after each step: [T, len(lengths), ...]."""
    links = [ema("network", str(length), power_decay(length)) for length in lengths]

    def step(networks, inputs):
        number, value = inputs
        networks = {**networks, "network": {"params": value}}
        for link in links:
            networks, _, _ = link.update(networks, (), Context({}, None, number))
        return networks, jnp.stack([networks[str(length)]["params"] for length in lengths])

    # What the averages were before the first step has no part in them.
    begun = {name: {"params": jnp.full_like(values[0], 1e3)} for name in ("network", *map(str, lengths))}
    return jax.jit(lambda: jax.lax.scan(step, begun, (jnp.arange(len(values)), values))[1])()


@pytest.mark.parametrize("length", [0.02, 0.1, 0.25])
def test_the_average_weights_the_steps_by_a_power_function_of_its_relative_length(length):
    steps, exponent = 400, power_exponent(length)
    # The average of unit vectors is the vector of the weights.
    weights = np.asarray(averages_of(jnp.eye(steps), (length,))[-1, 0], np.float64)
    ends = (np.arange(steps + 1) / steps) ** (exponent + 1)
    # A decay 1 - x, where x is about (gamma + 1) / t, is rounded to a unit: x to t / (gamma + 1) units, and a product
    # of decays to two a step.  Below 1e-30 float32 has fewer digits.
    np.testing.assert_allclose(weights, np.diff(ends), rtol=3 * steps * UNIT, atol=1e-30)
    times = (np.arange(steps) + 0.5) / steps
    deviation = np.sqrt(weights @ times**2 - (weights @ times) ** 2)
    # Within a step the variance is 1 / (12 steps^2), which the sum lacks.
    np.testing.assert_allclose(deviation, length, rtol=1 / (steps * length) ** 2)


def test_an_average_made_of_others_is_the_one_that_training_makes():
    every, steps, wished, many = 100, 1_600, (0.04, 0.07, 0.15), 400
    with float64():
        noise = jax.random.normal(jax.random.key(0), (steps, many + 8))
        walk = jnp.cumsum(noise[:, many:], 0) + jnp.linspace(-1, 1, 8) * jnp.arange(steps)[:, None] / 20
        averages = np.asarray(averages_of(jnp.concatenate([noise[:, :many], walk], 1), (*STORED, *wished)))
    stored = [EMAProfile(step, length) for step in range(every, steps + 1, every) for length in STORED]
    kept = averages[every - 1 :: every, : len(STORED)].reshape(len(stored), many + 8)
    for number, length in enumerate(wished, start=len(STORED)):
        weights, error = post_hoc_weights(stored, EMAProfile(steps, length))
        off = post_hoc_average(weights, kept) - averages[-1, number]
        exponent = power_exponent(length)
        distance = error * (exponent + 1) / np.sqrt((2 * exponent + 1) * steps)
        # Of white noise of variance 1 the difference has the distance of the profiles as its deviation.
        assert abs(off[:many].std() / distance - 1) < 4 / np.sqrt(2 * many)
        # Of any values, less their last since both profiles have the integral 1, it is at most this: Cauchy, Schwarz.
        assert np.linalg.norm(off[many:]) < distance * np.linalg.norm(walk - walk[-1])
        nearest = min(np.linalg.norm((averages[-1, number] - averages[-1, other])[many:]) for other in (0, 1))
        assert np.linalg.norm(off[many:]) < 0.02 * nearest


def test_the_weights_are_those_of_the_least_squares_of_the_profiles():
    stored = [EMAProfile(step, length) for step in (30, 70, 90, 100) for length in STORED]
    wished = EMAProfile(80, 0.14)
    fit = post_hoc_weights(stored, wished)
    times = (np.arange(100_000) + 0.5) / 1_000

    def profile(steps, length):
        exponent = power_exponent(length)
        return np.where(times < steps, (exponent + 1) / steps * (times / steps) ** exponent, 0)

    profiles, towards = np.stack([profile(*one) for one in stored], 1), profile(*wished)
    expected = np.linalg.lstsq(profiles, towards)[0]
    # The midpoint rule is off by the square of a step over the shortest average, (0.001 / 1.5)^2.
    np.testing.assert_allclose(fit.weights, expected / expected.sum(), atol=1e-6)
    rest = profiles @ fit.weights - towards
    np.testing.assert_allclose(fit.error, np.linalg.norm(rest) / np.linalg.norm(towards), rtol=1e-5)


def test_a_stored_average_is_itself():
    stored = [EMAProfile(step, length) for step in range(100, 1_601, 100) for length in STORED]
    for number in (0, 13, len(stored) - 1):
        weights, error = post_hoc_weights(stored, stored[number])
        # Rounding, times the condition number of the inner products, 6e3.
        np.testing.assert_allclose(weights, np.eye(len(stored))[number], atol=1e-11)
        assert error < 1e-6


def test_thirty_two_checkpoints_give_any_length_within_four_per_cent():
    stored = [EMAProfile(step, length) for step in range(1, 33) for length in STORED]
    assert max(post_hoc_weights(stored, EMAProfile(32, length)).error for length in np.linspace(0.02, 0.25, 12)) < 0.04


def test_leaves_keep_their_types_and_whole_numbers_are_those_of_the_last():
    def network(number):
        half = np.full(2, number, jnp.bfloat16)
        return {"half": half, "count": np.int32(number), "key": jax.random.key(number)}

    average = post_hoc_average([0.75, -0.5, 0.75], (network(number) for number in (2, 1, 4)))
    np.testing.assert_array_equal(average["half"], np.full(2, 4, jnp.bfloat16), strict=True)
    assert (average["count"], average["key"]) == (4, jax.random.key(4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: power_decay(0.0), "relative length of 0.0"),
        (lambda: power_decay(0.3), "relative length of 0.3; expected a number above 0 and below 0.2887"),
        (lambda: post_hoc_weights([], EMAProfile(1, 0.1)), "expected at least one"),
        (lambda: post_hoc_weights([EMAProfile(2, 0.1)] * 2, EMAProfile(2, 0.1)), "none twice"),
        (lambda: post_hoc_weights([EMAProfile(0, 0.1)], EMAProfile(2, 0.1)), "no steps has no profile"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
