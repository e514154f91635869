"""Restoration by guidance, with exact denoisers: of Gaussian images the posterior is known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, InputError
from jaxgen.models import Task, colourise, denoise, inpaint, random_block, super_resolve
from jaxgen.models.diffusion import (
    Observation,
    ancestral,
    cosine,
    dpm_solver_2m,
    heun,
    isotropic,
    linear,
    null_space,
    observe,
    posterior,
    posterior_sampling,
    variance_exploding,
)
from jaxgen.models.diffusion.grid import log_snr_grid
from jaxgen.models.diffusion.restoration import adjoint_of
from jaxgen.models.diffusion.solver import Process, solve
from tests.models.exact_diffusion import gaussian_denoiser, random_covariance

SPEC = ImageSpec(2, 2, 3)
SIZE = 12
MEAN = 0.3 * jax.random.normal(jax.random.key(0), SPEC)
COVARIANCE = random_covariance(jax.random.key(1), SIZE)
TRUTH = MEAN + jax.random.normal(jax.random.key(2), SPEC)
KNOWN = jnp.array([[True, False], [True, True]])[None, ..., None]
SCHEDULES = {"linear": linear(), "cosine": cosine(), "variance exploding": variance_exploding()}
EXACT = {"inpaint": inpaint(random_block()), "colourise": colourise(), "super_resolve": super_resolve(2)}


def blur(images):
    """The mean of each pixel and the next in its row, which wraps around."""
    return (images + jnp.roll(images, 1, axis=2)) / 2


def matrix_of(degrade):
    """The matrix [Y, SIZE] of a linear degradation."""
    units = jnp.eye(SIZE).reshape(SIZE, *SPEC)
    return (
        np.asarray(jax.vmap(lambda unit: degrade(unit[None]) - degrade(jnp.zeros((1, *SPEC))))(units))
        .reshape(SIZE, -1)
        .T.astype(np.float64)
    )


def conditioned(degrade, degraded, deviation, mean=MEAN, covariance=COVARIANCE):
    """The mean and the covariance of Gaussian images given an observation, in float64."""
    matrix, covariance = matrix_of(degrade), np.asarray(covariance, np.float64)
    gain = (
        covariance
        @ matrix.T
        @ np.linalg.pinv(
            matrix @ covariance @ matrix.T + deviation**2 * np.eye(len(matrix)), rcond=1e-6, hermitian=True
        )
    )
    rest = np.asarray(degraded - degrade(mean[None]), np.float64).reshape(-1)
    return np.asarray(mean, np.float64).reshape(-1) + gain @ rest, covariance - gain @ matrix @ covariance


def exact_posterior_denoiser(schedule, degrade, degraded, deviation):
    mean, covariance = conditioned(degrade, degraded, deviation)
    return gaussian_denoiser(
        schedule, jnp.asarray(mean, jnp.float32).reshape(SPEC), jnp.asarray(covariance, jnp.float32)
    )


def draw(schedule, denoiser, num, *, solver=heun, steps=32, seed=3):
    """Images [num, H, W, C] drawn by a denoiser."""
    times, keys = log_snr_grid(steps)(schedule), jax.random.split(jax.random.key(seed), num)
    at_one_time = lambda x, t: denoiser(x, jnp.broadcast_to(t, x.shape[:1]))  # noqa: E731
    noise = jax.random.normal(jax.random.key(seed + 1), (num, *SPEC)) * schedule.coefficients(times[0])[1]
    return jax.jit(lambda noise: solve(solver, Process(schedule, at_one_time, steps), noise, times, keys))(noise)


OBSERVATIONS = {
    "inpaint": (observe(inpaint(random_block()), TRUTH[None], KNOWN), SIZE),
    "colourise": (observe(colourise(), TRUTH[None], KNOWN), 4),
    "super_resolve": (observe(super_resolve(2), TRUTH[None], KNOWN), 3),
    "denoise": (observe(denoise(0.5), TRUTH[None], KNOWN, deviation=0.5), SIZE),
    "blur with noise": (Observation(blur, blur(TRUTH[None]) + 0.1, 0.2), SIZE),
}


@pytest.mark.parametrize("name", OBSERVATIONS)
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_guided_denoiser_of_gaussian_images_is_that_of_the_posterior(schedule, name):
    observation, iterations = OBSERVATIONS[name]
    guide = posterior(schedule, observation, iterations=iterations)
    guided = jax.jit(guide(gaussian_denoiser(schedule, MEAN, COVARIANCE)))
    exact = exact_posterior_denoiser(schedule, *observation)
    t = schedule.time(jnp.array([0.1, 0.5, 2.0, 10.0]))
    alpha, sigma = (values[:, None, None, None] for values in schedule.coefficients(t))
    x = alpha * TRUTH + sigma * jax.random.normal(jax.random.key(5), (4, *SPEC))
    # The condition of the solved system, about 1e3 for noiseless observations, times float32's 6e-8, and the iteration.
    np.testing.assert_allclose(guided(x, t), exact(x, t), atol=2e-3)


@pytest.mark.parametrize("name", ["super_resolve", "blur with noise"])
def test_guided_sampling_draws_from_the_posterior(name):
    (observation, iterations), schedule, num = OBSERVATIONS[name], linear(), 4_000
    guide = posterior(schedule, observation, iterations=iterations)
    drawn = draw(schedule, guide(gaussian_denoiser(schedule, MEAN, COVARIANCE)), num)
    drawn = np.asarray(drawn, np.float64).reshape(num, SIZE)
    mean, covariance = conditioned(*observation)
    variances = np.diag(covariance)
    # Standard errors of a mean and of a product of two jointly normal values, and the solver's error.
    assert (abs(drawn.mean(0) - mean) < 4.5 * np.sqrt(variances / num) + 0.01).all()
    errors = np.sqrt((np.outer(variances, variances) + covariance**2) / num)
    assert (abs(np.cov(drawn.T) - covariance) < 4.5 * errors + 0.01).all()
    assert np.trace(covariance) < 0.9 * np.trace(COVARIANCE)  # the observation says something


def test_an_isotropic_covariance_is_exact_for_independent_pixels():
    schedule, deviation = cosine(), 0.6
    observation = Observation(blur, blur(TRUTH[None]), 0.2)
    mean, covariance = conditioned(*observation, covariance=deviation**2 * np.eye(SIZE))
    exact = gaussian_denoiser(schedule, jnp.float32(mean).reshape(SPEC), jnp.float32(covariance))
    guide = posterior(schedule, observation, covariance=isotropic(deviation), iterations=SIZE)
    guided = guide(gaussian_denoiser(schedule, MEAN, deviation**2 * jnp.eye(SIZE)))
    x, t = jax.random.normal(jax.random.key(6), (3, *SPEC)), jnp.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(guided(x, t), exact(x, t), atol=1e-4)


@pytest.mark.parametrize("solver", [heun, dpm_solver_2m, ancestral(0.85)], ids=["heun", "dpm_solver_2m", "ancestral"])
@pytest.mark.parametrize("name", EXACT)
def test_the_null_space_agrees_with_the_observation(name, solver):
    task, schedule, num = EXACT[name], cosine(), 5
    inputs = jnp.repeat(task.observation(TRUTH[None], KNOWN), num, 0)
    guide = null_space(task, inputs, SPEC)
    drawn = draw(schedule, guide(gaussian_denoiser(schedule, MEAN, COVARIANCE)), num, solver=solver, steps=8)
    again = task.observation(drawn, jnp.repeat(KNOWN, num, 0))
    np.testing.assert_allclose(again, inputs, atol=2e-6)
    assert jnp.std(drawn, axis=0).max() > 0.05  # what the observation leaves open differs
    if name == "inpaint":
        known = jnp.broadcast_to(KNOWN, drawn.shape)
        np.testing.assert_array_equal(drawn[known], jnp.broadcast_to(TRUTH, drawn.shape)[known])


def test_posterior_sampling_follows_the_gradient_of_the_likelihood():
    """Of independent pixels the denoiser's derivative is known, and so is that of |y - A(D)|^2."""
    schedule, deviation, noise = linear(), 0.7, 0.4
    denoiser = gaussian_denoiser(schedule, MEAN, deviation**2 * jnp.eye(SIZE))
    x, t = jax.random.normal(jax.random.key(7), (3, *SPEC)), jnp.array([0.2, 0.5, 0.8])
    alpha, sigma = (values[:, None, None, None] for values in schedule.coefficients(t))
    variance = deviation**2 * sigma**2 / (deviation**2 * alpha**2 + sigma**2)  # of x_0 given x_t
    for widening in (0.0, 1.5):
        guide = posterior_sampling(schedule, Observation(jnp.tanh, jnp.tanh(TRUTH)[None], noise), widening=widening)
        denoised = denoiser(x, t)
        slope = (1 - jnp.tanh(denoised) ** 2) * (jnp.tanh(TRUTH) - jnp.tanh(denoised))
        expected = denoised + variance * slope / (noise**2 + widening * sigma**2 / alpha**2)
        np.testing.assert_allclose(guide(denoiser)(x, t), expected, rtol=1e-4, atol=1e-5)


def test_a_task_that_is_not_linear_is_restored_by_posterior_sampling():
    schedule, num = linear(), 200
    observation = Observation(jnp.tanh, jnp.tanh(TRUTH)[None])
    prior = gaussian_denoiser(schedule, MEAN, COVARIANCE)
    error = {}
    for name, guide in (("none", lambda d: d), ("guided", posterior_sampling(schedule, observation, widening=1.0))):
        drawn = draw(schedule, guide(prior), num)
        error[name] = float(jnp.abs(jnp.tanh(drawn) - jnp.tanh(TRUTH)).mean())
    assert error["guided"] < 0.3 * error["none"]


@pytest.mark.parametrize("make", [posterior, partial(posterior_sampling, widening=1.0)])
def test_pure_noise_is_not_guided_and_an_image_alone_matters(make):
    schedule, prior = linear(), gaussian_denoiser(linear(), MEAN, COVARIANCE)
    guided = make(schedule, Observation(blur, blur(TRUTH[None]), 0.2))(prior)
    x, t = jax.random.normal(jax.random.key(8), (3, *SPEC)), jnp.array([1.0, 0.5, 0.2])
    values = guided(x, t)
    np.testing.assert_array_equal(values[0], prior(x, t)[0])
    np.testing.assert_allclose(values[1:2], guided(x[1:2], t[1:2]), atol=1e-5)


@pytest.mark.parametrize("degrade", [jnp.tanh, lambda x: x * x, lambda x: jnp.clip(x, -1, 1), jnp.round])
def test_a_task_that_is_not_linear_is_refused_by_linear_methods_in_one_line(degrade):
    prior = gaussian_denoiser(linear(), MEAN, COVARIANCE)
    crooked = Task(
        degrade=lambda keys, images: degrade(images),
        observation=lambda images, known: degrade(images),
        complete=lambda inputs, made: made,
        baseline=lambda inputs: inputs,
    )
    for ask in (
        lambda: jax.jit(posterior(linear(), Observation(degrade, TRUTH[None]))(prior))(TRUTH[None], jnp.ones(1)),
        lambda: null_space(crooked, TRUTH[None], SPEC),
    ):
        with pytest.raises(InputError, match="not linear; restore it with posterior_sampling") as error:
            ask()
        assert "\n" not in str(error.value)


def test_noisy_inputs_are_refused_by_the_null_space():
    with pytest.raises(InputError, match="noisy: no part of the image is exact"):
        null_space(denoise(0.5), TRUTH[None], SPEC)


@pytest.mark.parametrize("name", EXACT)
def test_the_tasks_have_their_adjoints(name):
    degrade = partial(EXACT[name].observation, known=KNOWN)
    images, nothing = jax.random.normal(jax.random.key(9), (1, *SPEC)), jnp.zeros((1, *SPEC))
    forward = degrade(images) - degrade(nothing)
    other = jax.random.normal(jax.random.key(10), forward.shape)
    backward = adjoint_of(degrade, images)(other)
    np.testing.assert_allclose((forward * other).sum(), (images * backward).sum(), rtol=1e-4)


@pytest.mark.parametrize(
    "ask",
    [
        lambda o: posterior(linear(), o, iterations=0),
        lambda o: posterior(linear(), o._replace(deviation=-1.0)),
        lambda o: posterior_sampling(linear(), o),
    ],
)
def test_a_method_without_what_it_needs_is_refused(ask):
    with pytest.raises(ValueError, match="expected"):
        ask(Observation(blur, TRUTH[None]))
