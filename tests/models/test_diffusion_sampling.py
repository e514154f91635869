"""Diffusion models: guidance, samples and controls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec
from jaxgen.core.condition import conditioning, features, labels
from jaxgen.models import Diffusion, image_keys, interpolations
from jaxgen.models.diffusion import (
    Worse,
    added_noise,
    ancestral,
    autoguidance,
    churn,
    classifier_free,
    classifier_free_each,
    clean,
    cosine,
    dpm_solver_2m,
    euler,
    heun,
    karras_by_time,
    karras_grid,
    linear,
    log_normal_times,
    log_snr_grid,
    noise,
    restart,
    uniform_grid,
    variance_exploding,
    velocity,
)
from jaxgen.models.diffusion.guidance import at_time
from jaxgen.nets import DiT
from tests.models.exact_diffusion import (
    DEVIATION,
    MEAN,
    GaussianNetwork,
    exact_denoiser,
    exact_flow,
    exact_model,
    solved,
)
from tests.models.programs import networks_like

SPEC, LABELS, LABEL = ImageSpec(5, 4, 1), labels(3), jnp.arange(3)
NULL = jnp.full(3, LABELS["label"].null)
X, TIMES = jax.random.normal(jax.random.key(1), (3, *SPEC)), jnp.array([0.1, 0.5, 0.9])
KEYS = jax.random.split(jax.random.key(5), 3)
GAUSSIAN = Diffusion(GaussianNetwork(), ImageSpec(1, 1, 1), prediction=clean, grid=uniform_grid(64))
EXACT = {"denoiser": {"params": {"mean": jnp.float32(MEAN)}}}


def digits(**options):
    return Diffusion(DiT(3, 4, 1), SPEC, **{"conditions": LABELS, "grid": uniform_grid(3), **options})


def networks_of(model):
    return networks_like(lambda: model.init(jax.random.key(0), model.spec), seed=2, scale=1.0)


def test_guidance_one_is_the_conditional_model_and_zero_the_unconditional_one():
    model = digits()
    networks = networks_of(model)
    conditional, null = (jax.jit(model.sampler())(networks, KEYS, label=label) for label in (LABEL, NULL))
    assert jnp.abs(conditional - null).max() > 1e-2

    def guided(scale, **options):
        sampler = model._replace(guidance=classifier_free(scale, **options)).sampler()
        return jax.jit(sampler)(networks, KEYS, label=LABEL)

    # The products of a batch of twice the size round otherwise.
    close = {"rtol": 0, "atol": 1e-4 * float(jnp.abs(conditional).max())}
    np.testing.assert_allclose(guided(1.0), conditional, **close)
    np.testing.assert_allclose(guided(0.0), null, **close)
    np.testing.assert_allclose(guided(3.0, interval=(2.0, 3.0)), conditional, **close)
    np.testing.assert_allclose(guided(0.0, interval=(0.0, 1.0)), null, **close)


def test_guidance_extrapolates_within_its_interval_and_away_from_a_negative_condition():
    model = digits()
    networks, condition = networks_of(model), conditioning(LABELS, {"label": LABEL})
    denoise = model.denoiser(networks)
    away = conditioning(LABELS, {"label": LABEL[1:2]})

    def all_of(x):
        by_null, to, by_away = (
            denoise(x, TIMES, array) for array in (jnp.zeros((3, 3)), *condition, jnp.tile(away[0], (3, 1)))
        )
        inside = classifier_free(2.5, interval=(0.3, 0.6))(denoise)(x, TIMES, *condition)
        negative = classifier_free(2.5, negative=away)(denoise)(x, TIMES, *condition)
        return by_null, to, by_away, inside, negative

    by_null, to, by_away, inside, negative = jax.jit(all_of)(X)
    expected = jnp.where(jnp.array([0, 1, 0])[:, None, None, None], by_null + 2.5 * (to - by_null), to)
    close = {"rtol": 0, "atol": 1e-4 * float(jnp.abs(expected).max())}
    np.testing.assert_allclose(inside, expected, **close)
    np.testing.assert_allclose(negative, by_away + 2.5 * (to - by_away), **close)


def test_each_condition_has_its_own_scale():
    parts = jnp.array([1.0, 10.0, 100.0])  # what nothing, the first and the second condition add

    def denoise(x, t, first, second):
        return x * (parts[0] + parts[1] * first + parts[2] * first * second)[:, None, None, None]

    condition = jnp.ones(3), jnp.ones(3)
    for scales in ((1.0, 1.0), (0.0, 0.0), (2.0, 0.5)):
        expected = X * (parts[0] + scales[0] * parts[1] + scales[1] * parts[2])
        np.testing.assert_allclose(classifier_free_each(*scales)(denoise)(X, TIMES, *condition), expected, rtol=1e-5)
    both = classifier_free(3.0)(denoise)(X, TIMES, *condition)
    np.testing.assert_allclose(classifier_free_each(3.0, 3.0)(denoise)(X, TIMES, *condition), both, rtol=1e-5)
    kept = classifier_free(3.0, kept=1)(denoise)(X, TIMES, *condition)  # the first one is never dropped
    np.testing.assert_allclose(classifier_free_each(1.0, 3.0)(denoise)(X, TIMES, *condition), kept, rtol=1e-5)
    negative = classifier_free(3.0, kept=1, negative=(jnp.array([0.5]),))(denoise)(X, TIMES, *condition)
    np.testing.assert_allclose(negative, X * (11 + 50 + 3 * 50), rtol=1e-5)


def test_guidance_of_gaussians_of_one_deviation_samples_the_gaussian_of_the_extrapolated_mean():
    model = GAUSSIAN._replace(conditions=features(1), guidance=classifier_free(2.0), grid=uniform_grid(128))
    condition = jnp.full((3, 1), 0.4)
    images = jax.jit(model.sampler())(EXACT, KEYS, features=condition)
    start = jax.vmap(lambda key: jax.random.normal(jax.random.split(key)[0], (1, 1, 1)))(KEYS)
    exact = exact_flow(model.schedule, start, jnp.float32(1), jnp.float32(0), mean=MEAN + 2.0 * 0.4)
    np.testing.assert_allclose(images, exact, atol=2e-4)  # the error of the solver's steps


def test_guidance_extrapolates_the_logarithms_of_the_deviations_of_gaussians():
    """At r = sigma / alpha, d log x / dr = r / (s^2 + r^2) leads to s times the noise; guidance is linear in it."""
    schedule, scale, worse, better = GAUSSIAN.schedule, 2.0, 0.6, 0.4
    towards, away = (exact_denoiser(schedule, 0.0, deviation) for deviation in (better, worse))
    guided = at_time(autoguidance(away, scale)(towards))
    images = jax.jit(lambda x: solved(heun, schedule, uniform_grid(128)(schedule), x, guided))(X)
    # Not the deviation of p_worse^(1 - w) p_better^w, which is 0.32 here.
    deviation = worse * (better / worse) ** scale
    np.testing.assert_allclose(images, deviation * X, rtol=1e-3)  # the solver's steps
    # A model with a worse one draws by it, and stays itself where an expectation is needed.
    grid, (one, other) = uniform_grid(128), (exact_model(denoiser, (1, 1, 1), schedule) for denoiser in (towards, away))
    model = one._replace(worse=Worse(other, scale), grid=grid)
    start = jax.vmap(lambda key: jax.random.normal(jax.random.split(key)[0], (1, 1, 1)))(KEYS)
    np.testing.assert_allclose(jax.jit(model.sampler())({}, KEYS), deviation * start, rtol=1e-3)
    for is_guided, expected in ((False, towards), (True, autoguidance(away, scale)(towards))):
        found = added_noise(model, autoguided=is_guided)({})(X / (1 - 0.4), jnp.full(3, 0.4 / (1 - 0.4)))
        np.testing.assert_allclose(found, expected(X, jnp.full(3, 0.4)), rtol=1e-4)


def test_autoguidance_goes_away_from_the_worse_network():
    better, worse = (exact_denoiser(GAUSSIAN.schedule, deviation=deviation) for deviation in (0.5, 0.8))
    found = autoguidance(worse, 1.8)(better)(X, TIMES)
    np.testing.assert_allclose(found, worse(X, TIMES) + 1.8 * (better(X, TIMES) - worse(X, TIMES)), rtol=1e-5)
    np.testing.assert_array_equal(autoguidance(worse, 1.0)(better)(X, TIMES), better(X, TIMES))


@pytest.mark.parametrize("solver", [heun, dpm_solver_2m, ancestral(), churn(euler, 2.0), restart(heun, 0.7, 0.4)])
def test_an_image_does_not_depend_on_the_batch(solver):
    sampler = jax.jit(digits(solver=solver).sampler())
    networks = networks_of(digits())
    images = sampler(networks, KEYS, label=LABEL)
    others = sampler(networks, KEYS[jnp.array([2, 1, 1])], label=jnp.array([2, 1, 0]))
    np.testing.assert_array_equal(others[:2], images[jnp.array([2, 1])])
    assert (others[2] != images[1]).any()
    alone = sampler(networks, KEYS[1:2], label=LABEL[1:2])
    np.testing.assert_allclose(alone, images[1:2], rtol=0, atol=1e-4 * float(jnp.abs(images).max()))


def test_samples_are_those_of_the_exact_flow():
    images = jax.jit(GAUSSIAN.sampler())(EXACT, KEYS)
    start = jax.vmap(lambda key: jax.random.normal(jax.random.split(key)[0], (1, 1, 1)))(KEYS)
    np.testing.assert_allclose(images, MEAN + DEVIATION * start, atol=1e-3)


@pytest.mark.parametrize("prediction", [velocity, noise, karras_by_time()], ids=["velocity", "noise", "karras"])
def test_samples_are_the_same_for_every_prediction_of_one_denoiser(prediction):
    same = GAUSSIAN._replace(network=GaussianNetwork(prediction=prediction), prediction=prediction)
    np.testing.assert_allclose(same.sampler()(EXACT, KEYS), GAUSSIAN.sampler()(EXACT, KEYS), rtol=1e-4)


def test_controls_draw_the_images_of_the_sampler_and_encode_them_back():
    networks, fields, index = networks_of(digits()), {"label": LABEL}, jnp.arange(3)
    controls = digits().controls(networks)
    latents = controls.draw(jnp.uint32(9), index)
    images = controls.generate(controls.codes(latents, fields), latents, fields)
    sampled = digits().sampler()(networks, image_keys(jnp.uint32(9), index), label=LABEL)
    np.testing.assert_allclose(images, sampled, rtol=0, atol=1e-5 * float(jnp.abs(sampled).max()))
    assert controls.first_layer(controls.codes(latents, fields)).shape == (3, 4 * 4)
    assert interpolations(controls, latents[:2], {"label": LABEL[:1]}, columns=3).shape == (1, 3, *SPEC)

    exact = GAUSSIAN.controls(EXACT)
    image = jnp.array([-0.4, 0.3, 1.2])[:, None, None, None]
    encoded = jax.jit(lambda image: exact.encode(image, {}))(image)
    np.testing.assert_allclose(encoded[:, None, None], (image - MEAN) / DEVIATION, atol=5e-3)
    again = jax.jit(lambda latents: exact.generate(latents[:, None], latents, {}))(encoded)
    np.testing.assert_allclose(again, image, atol=5e-3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: classifier_free(float("nan")), ValueError, "scale of nan"),
        (lambda: classifier_free_each(2.0, -1.0), ValueError, "scale of -1"),
        (classifier_free_each, ValueError, "no scales"),
        (
            lambda: classifier_free_each(2.0)(lambda *_: X)(X, TIMES, LABEL, LABEL),
            TypeError,
            "1 scales were given for 2",
        ),
        (lambda: autoguidance(exact_denoiser(GAUSSIAN.schedule), -1.0), ValueError, "scale of -1.0"),
        (lambda: classifier_free(2.0, interval=(0.8, 0.2)), ValueError, "lower end first"),
        (lambda: classifier_free(2.0, kept=1)(lambda *_: X)(X, TIMES, LABEL), TypeError, "this model has none"),
        (
            lambda: GAUSSIAN._replace(guidance=classifier_free(2.0)).sampler()(EXACT, KEYS),
            TypeError,
            "this model has none",
        ),
        (
            lambda: classifier_free(2.0, negative=(X, X))(lambda *_: X)(X, TIMES, LABEL),
            TypeError,
            "2 negative conditions were given; expected 1",
        ),
        (lambda: digits(solver=ancestral()).controls({}), ValueError, "need a deterministic solver"),
        (lambda: digits().init(KEYS[0], ImageSpec(5, 5, 1)), ValueError, "was given images"),
        (
            lambda: digits(schedule=variance_exploding(end=3.0)).init(KEYS[0], SPEC),
            ValueError,
            "schedule ends at a signal-to-noise ratio of 0.111; expected at most 0.001",
        ),
        (
            lambda: digits(grid=karras_grid(8, most=1.0)).init(KEYS[0], SPEC),
            ValueError,
            "grid starts at a signal-to-noise ratio of 1; expected at most 0.001",
        ),
        (lambda: karras_grid(8, least=-1.0), ValueError, "from 80 to -1; expected 0 < least < most"),
        (lambda: log_snr_grid(8, least=2.0, most=1.0), ValueError, "from 1 to 2; expected 0 < least < most"),
        (
            lambda: digits(schedule=linear(log_normal_times())).init(KEYS[0], SPEC),
            ValueError,
            "training times go beyond its end, 1: log_normal_times",
        ),
        (
            lambda: digits(worse=Worse(digits(schedule=cosine()), 1.4)).init(KEYS[0], SPEC),
            ValueError,
            "The worse model has another schedule",
        ),
        (
            lambda: digits(grid=uniform_grid(1)).sampler()(networks_of(digits()), KEYS, label=LABEL),
            ValueError,
            "needs at least 2 steps; it was given 1",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
