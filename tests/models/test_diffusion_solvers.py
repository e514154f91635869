"""Solvers, time grids and schedules, with the exact denoiser of a Gaussian data set."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from jaxgen.models.diffusion import (
    ancestral,
    churn,
    cosine,
    dpm_solver_2m,
    euler,
    heun,
    karras_grid,
    linear,
    log_snr_grid,
    restart,
    uniform_grid,
    variance_exploding,
)
from jaxgen.models.diffusion.guidance import at_time
from jaxgen.models.diffusion.stochastic import add_noise
from tests.models.exact_diffusion import DEVIATION, MEAN, exact_denoiser, exact_flow, mixture_denoiser, solved
from tests.programs import float64

SCHEDULES = {"linear": linear(), "cosine": cosine(), "variance_exploding": variance_exploding()}
SOLVERS = {"euler": (euler, 1), "heun": (heun, 2), "dpm_solver_2m": (dpm_solver_2m, 2)}
MANY = 40_000


def noise(num, seed=0):
    return jax.random.normal(jax.random.key(seed), (num, 1, 1, 1), jnp.result_type(float))


def close(found, expected, errors=4.0):
    """Whether the mean and the deviation of draws are those expected, to within some standard errors."""
    mean, deviation = expected
    assert abs(found.mean() - mean) < errors * deviation / np.sqrt(found.size)
    assert abs(found.std() - deviation) < errors * deviation / np.sqrt(2 * found.size)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solver_converges_at_its_order(solver, schedule):
    (solver, order), schedule = SOLVERS[solver], SCHEDULES[schedule]

    def error(steps):
        times = log_snr_grid(steps)(schedule)
        x = schedule.coefficients(times[0])[1] * noise(5)
        return jnp.sqrt(
            jnp.square(solved(solver, schedule, times, x) - exact_flow(schedule, x, *times[jnp.array([0, -1])])).mean()
        )

    with float64():
        few, many = jax.device_get(jax.jit(lambda: (error(64), error(128)))())
    # The next order of the error is smaller by the length of a step, 10.6 / 64 in log(alpha / sigma).
    assert abs(np.log2(few / many) - order) < 0.17
    assert many < (0.05 if order == 1 else 2e-3)


def test_heun_is_of_second_order_in_uniform_time_from_pure_noise_to_an_image():
    schedule = linear()

    def error(steps):
        x = noise(5)
        exact = exact_flow(schedule, x, jnp.float64(1), jnp.float64(0))
        return jnp.abs(solved(heun, schedule, uniform_grid(steps)(schedule), x) - exact).max()

    with float64():
        few, many = jax.device_get(jax.jit(lambda: (error(32), error(64)))())
    assert abs(np.log2(few / many) - 2) < 0.1


@pytest.mark.parametrize("solver", ["euler", "dpm_solver_2m"])
def test_every_schedule_gives_the_same_images_at_the_same_noise_levels(solver):
    def images(schedule):
        times = karras_grid(6)(schedule)
        return solved(SOLVERS[solver][0], schedule, times, schedule.coefficients(times[0])[1] * noise(4))

    with float64():
        first, *others = jax.jit(lambda: [images(schedule) for schedule in SCHEDULES.values()])()
    for other in others:
        np.testing.assert_allclose(other, first, rtol=0, atol=1e-9)  # times near 1 keep 1 - t to 1e-14


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_flow_back_from_images_to_noise_returns_the_noise(solver):
    solver, schedule = SOLVERS[solver][0], linear()

    def errors(steps):
        times, x = uniform_grid(steps)(schedule), noise(5)
        there = solved(solver, schedule, times, x)
        return jnp.abs(solved(solver, schedule, times[::-1], there) - x).max()

    with float64():
        few, many = jax.device_get(jax.jit(lambda: (errors(16), errors(64)))())
    assert many < 0.1
    assert many < few / 3


@pytest.mark.parametrize("solver", ["heun", "dpm_solver_2m"])
def test_the_flow_of_a_mixture_keeps_every_quantile_forth_and_back(solver):
    """So that each mode has its share and its mean: in one dimension a flow keeps the order of what it carries."""
    solver, schedule, count = SOLVERS[solver][0], linear(), 1_000
    along, across, modes = np.array([0.6, 0.8]), np.array([-0.8, 0.6]), np.array([-0.6, 0.6])
    shares, deviation = np.array([0.3, 0.7]), 0.2
    means = jnp.asarray(np.outer(modes, along).reshape(2, 2, 1, 1), jnp.float32)
    mixture = mixture_denoiser(schedule, means, jnp.asarray(shares, jnp.float32), deviation)
    quantiles, rest = (np.arange(count) + 0.5) / count, np.random.default_rng(0).standard_normal(count)
    start = np.outer(norm.ppf(quantiles), along) + np.outer(rest, across)

    @jax.jit
    def forth_and_back(x):
        times, denoise = uniform_grid(128)(schedule), at_time(mixture)
        images = solved(solver, schedule, times, x, denoise)
        return images, solved(solver, schedule, times[::-1], images, denoise)

    images, back = (np.reshape(x, (count, 2)) for x in forth_and_back(jnp.asarray(start, jnp.float32)[..., None, None]))
    found = norm.cdf((images @ along)[:, None], modes, deviation) @ shares
    # The error of 128 steps of second order: that of first order is four times the tolerance or more.
    np.testing.assert_allclose(found, quantiles, atol=1e-3)
    np.testing.assert_allclose(images @ across, deviation * rest, atol=3e-3)
    np.testing.assert_allclose(back, start, atol=1e-2)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_step_of_ancestral_keeps_the_marginal_distribution_for_every_eta(schedule, eta):
    schedule, x_0 = SCHEDULES[schedule], 0.7
    t, s = schedule.time(jnp.array([3.0, 0.4]))
    alpha, sigma = schedule.coefficients(t)
    x = alpha * x_0 + sigma * noise(MANY)
    after = jax.jit(
        lambda x: solved(ancestral(eta), schedule, jnp.stack([t, s]), x, lambda x, _: jnp.full_like(x, x_0))
    )(x)
    beta, rho = schedule.coefficients(s)
    close(np.asarray(after), (beta * x_0, rho))
    # The part of the noise that is kept: all of it without eta, and that of the Markov chain at 1.
    kept = np.corrcoef(np.ravel(x), np.ravel(after))[0, 1]
    expected = np.sqrt(1 - eta**2 * (1 - (alpha * rho / (beta * sigma)) ** 2))
    assert abs(kept - expected) < 4 / np.sqrt(MANY)


def test_ancestral_without_eta_is_euler():
    schedule, times = cosine(), uniform_grid(5)(cosine())
    both = jax.jit(lambda x: [solved(solver, schedule, times, x) for solver in (ancestral(0.0), euler)])(noise(3))
    np.testing.assert_allclose(*both, rtol=1e-6)


def test_added_noise_leads_to_the_later_marginal_distribution():
    for schedule in SCHEDULES.values():
        t, s = schedule.time(jnp.array([0.4, 3.0]))
        (alpha, sigma), (beta, rho) = schedule.coefficients(t), schedule.coefficients(s)
        later = add_noise(schedule, alpha * 0.7 + sigma * noise(MANY), t, s, noise(MANY, seed=1))
        close(np.asarray(later), (beta * 0.7, rho))


@pytest.mark.parametrize(
    "solver",
    [
        churn(heun, 8.0, noise_scale=1.0),
        churn(heun, 8.0, ratios=(0.0, jnp.inf), noise_scale=1.0),
        restart(heun, 0.7, 0.1, repeats=2, steps=8),
    ],
    ids=["churn", "churn_everywhere", "restart"],
)
def test_a_stochastic_solver_draws_from_the_distribution_of_the_data(solver):
    schedule = linear()
    images = jax.jit(lambda x: solved(solver, schedule, uniform_grid(100)(schedule), x))(noise(MANY // 2))
    # To the first order of a step, 0.01, besides the errors of the draws.
    close(np.asarray(images), (MEAN, DEVIATION), errors=6)


def test_churn_without_noise_is_the_solver():
    schedule, times = linear(), uniform_grid(5)(linear())
    both = jax.jit(lambda x: [solved(solver, schedule, times, x) for solver in (churn(heun, 0.0), heun)])(noise(3))
    np.testing.assert_allclose(*both, rtol=1e-5)
    assert churn(heun, 0.0).is_deterministic
    assert not churn(heun, 1.0).is_deterministic


def test_restart_forgets_what_the_denoiser_did_after_the_time_that_it_returns_to():
    schedule, times = linear(), uniform_grid(10)(linear())
    calls = []

    def wrong_once(x, t):
        jax.debug.callback(lambda t: calls.append(float(t)), t)
        return exact_denoiser(schedule)(x, t)

    jax.block_until_ready(
        jax.jit(lambda x: solved(restart(euler, 0.55, 0.35, repeats=2, steps=3), schedule, times, x, wrong_once))(
            noise(2)
        )
    )
    jax.effects_barrier()
    expected = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, *2 * [0.55, 0.55 - 0.25 / 3, 0.55 - 0.5 / 3], 0.3, 0.2, 0.1]
    np.testing.assert_allclose(sorted(calls), sorted(expected), atol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_time_is_the_inverse_of_the_ratio_and_grids_go_from_noise_to_the_image(schedule):
    schedule = SCHEDULES[schedule]
    with float64():
        ratios = jnp.array([0.0, 0.01, 1.0, 30.0])
        np.testing.assert_allclose(schedule.ratio(schedule.time(ratios)), ratios, rtol=1e-12)
        for grid in (uniform_grid(7), karras_grid(7), log_snr_grid(7)):
            times = grid(schedule)
            assert times.shape == (8,)
            assert times[-1] == 0
            assert (np.diff(times) < 0).all()
        by_rho = schedule.ratio(karras_grid(3, least=0.01, most=10.0, rho=2.0)(schedule))
        np.testing.assert_allclose(by_rho, [10.0, ((10**0.5 + 0.01**0.5) / 2) ** 2, 0.01, 0], rtol=1e-12)
        by_snr = schedule.ratio(log_snr_grid(3, least=0.01, most=100.0)(schedule))
        np.testing.assert_allclose(by_snr, [100.0, 1.0, 0.01, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: uniform_grid(0), "0 steps; expected at least 1"),
        (lambda: karras_grid(1), "1 steps; expected at least 2"),
        (lambda: ancestral(1.5), "eta of 1.5"),
        (lambda: churn(heun, float("nan")), "amount of nan"),
        (lambda: restart(heun, 0.2, 0.4), "from 0.4 back to 0.2"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
