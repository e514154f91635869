"""Feynman-Kac steering of a Gaussian, whose reverse process and whose target are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.models.diffusion import (
    Process,
    ancestral,
    heun,
    karras_grid,
    linear,
    resample,
    round_times,
    solve,
    solve_round,
    steer,
    variance_exploding,
)
from tests.models.exact_diffusion import DEVIATION, MEAN, exact_denoiser

NUM, SCHEDULE = 40_000, variance_exploding()
TIMES = [80.0, 2.0, 0.7, 0.3, 0.0]


def advance(x, number):
    """An exact step of the reverse process of x_0 ~ N(mean, v), x_t = x_0 + t eps, and E[x_0 | x_s]."""
    t, s, v = TIMES[number], TIMES[number + 1], DEVIATION**2
    share = (v + s**2) / (v + t**2)
    noise = jax.random.normal(jax.random.fold_in(jax.random.key(3), number), x.shape)
    x = MEAN + share * (x - MEAN) + jnp.sqrt(share * (t**2 - s**2)) * noise
    return x, MEAN + v / (v + s**2) * (x - MEAN)


@pytest.mark.parametrize("kind", ["linear", "quadratic"])
def test_particles_follow_the_tilted_gaussian(kind):
    strength, v = 2.0, DEVIATION**2
    if kind == "linear":  # N(mean, v) exp(strength x) is normal with a mean that is strength v larger
        mean, variance = MEAN + strength * v, v
    else:  # and with exp(-strength (x - 1)^2 / 2) the precisions add up
        variance = 1 / (1 / v + strength)
        mean = variance * (MEAN / v + strength)

    def reward(images):
        x = images[:, 0, 0, 0]
        return x if kind == "linear" else -jnp.square(x - 1) / 2

    start = MEAN + jnp.sqrt(v + TIMES[0] ** 2) * jax.random.normal(jax.random.key(0), (NUM, 1, 1, 1))
    *_, last = steer(advance, reward, start, rounds=4, strength=strength, key=jax.random.key(1))
    drawn = last.x[resample(jax.random.key(2), last.log_weights)].ravel()
    # Resampling leaves a quarter or more of the particles independent: standard errors of 10,000, four times.
    np.testing.assert_allclose(drawn.mean(), mean, atol=4 * np.sqrt(variance / 10_000))
    np.testing.assert_allclose(drawn.var(), variance, atol=4 * variance * np.sqrt(2 / 10_000))


def test_systematic_resampling_takes_each_particle_its_share_of_times():
    log_weights = 3 * jax.random.normal(jax.random.key(0), (50,))
    share = 50 * jax.nn.softmax(log_weights)
    counts = np.stack([np.bincount(resample(jax.random.key(i), log_weights), minlength=50) for i in range(400)])
    assert (np.abs(counts - share) < 1 + 1e-4).all()  # floor or ceiling of the share, up to rounding of the sum
    np.testing.assert_allclose(counts.mean(0), share, atol=4 * 0.5 / np.sqrt(400))  # a count deviates by at most 1/2
    np.testing.assert_array_equal(resample(jax.random.key(0), jnp.zeros(5)), jnp.arange(5))


@pytest.mark.parametrize("schedule", [SCHEDULE, linear()], ids=["exploding", "linear"])
def test_rounds_go_from_noise_to_images_by_evenly_spaced_shares_of_noise(schedule):
    times = round_times(schedule, 4, 5)
    assert times.shape == (4, 6)
    assert (jnp.diff(times, axis=1) < 0).all()
    np.testing.assert_allclose(times[1:, 0], times[:-1, -1], rtol=1e-5)
    alpha, sigma = schedule.coefficients(times[:, -1])
    np.testing.assert_allclose(sigma / (alpha + sigma), [0.75, 0.5, 0.25, 0], atol=1e-5)
    np.testing.assert_allclose(round_times(schedule, 1, 5)[0], karras_grid(5)(schedule), rtol=1e-6)


def test_a_round_is_the_solution_and_its_denoised_images():
    parts = round_times(SCHEDULE, 3, 5)
    process, keys = Process(SCHEDULE, exact_denoiser(SCHEDULE), 15), jax.random.split(jax.random.key(0), 3)
    x = 5 * jax.random.normal(jax.random.key(1), (3, 2, 2, 1))
    moved, denoised = solve_round(ancestral(), process, x, parts[1], keys)
    np.testing.assert_allclose(moved, solve(ancestral(), process, x, parts[1], keys), rtol=1e-6)
    np.testing.assert_allclose(denoised, process.denoise(moved, parts[1][-1]), rtol=1e-6)
    moved, denoised = solve_round(ancestral(), process, x, parts[2], keys)
    np.testing.assert_array_equal(moved, denoised)


def test_a_deterministic_solver_is_refused():
    process = Process(SCHEDULE, exact_denoiser(SCHEDULE), 2)
    with pytest.raises(ValueError, match="stochastic"):
        solve_round(
            heun, process, jnp.zeros((1, 1, 1, 1)), jnp.array([2.0, 1.0, 0.0]), jax.random.split(jax.random.key(0), 1)
        )
