"""Diffusion models: predictions and the loss."""

from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Context, ImageSpec, add, chain, ema, minimize
from jaxgen.core.condition import labels
from jaxgen.models import Diffusion, denoising_loss, drop_condition, use_ema
from jaxgen.models.diffusion import (
    clean,
    cosine,
    flow_matching_weight,
    karras,
    karras_weight,
    linear,
    log_normal_times,
    log_uniform_times,
    logit_normal_times,
    min_snr_weight,
    noise,
    sigmoid_weight,
    uniform_grid,
    uniform_times,
    variance_exploding,
    velocity,
    with_boundary,
)
from jaxgen.models.diffusion.loss import stratified
from jaxgen.nets import DiT
from tests.models.exact_diffusion import DEVIATION, MEAN, GaussianNetwork, exact_denoiser
from tests.models.programs import networks_like, trained
from tests.programs import float64

SPEC, LABELS = ImageSpec(5, 4, 1), labels(3)
SCHEDULES = {"linear": linear(), "cosine": cosine(), "variance_exploding": variance_exploding()}
PREDICTIONS = {"velocity": velocity, "noise": noise, "clean": clean, "karras": karras(DEVIATION)}
BATCH = {"image": jax.random.randint(jax.random.key(1), (3, *SPEC), 0, 256).astype(jnp.uint8), "label": jnp.arange(3)}
GAUSSIAN = Diffusion(GaussianNetwork(), ImageSpec(1, 1, 1), prediction=clean)
KEYS = jax.random.split(jax.random.key(5), 3)


def digits(**options):
    return Diffusion(DiT(3, 4, 1), SPEC, conditions=LABELS, grid=uniform_grid(3), **options)


def networks_of(model, scale=1.0):
    return networks_like(lambda: model.init(jax.random.key(0), model.spec), seed=2, scale=scale)


def context(**fields):
    return Context({**BATCH, **fields}, jax.random.key(4), jnp.int32(0))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_target_is_what_the_paper_predicts(prediction, schedule):
    schedule, predict = SCHEDULES[schedule], PREDICTIONS[prediction]
    with float64():
        x_0, eps, t = jnp.array([0.3, -0.8, 0.5]), jnp.array([1.2, -0.1, 0.6]), jnp.array([0.05, 0.4, 0.9])
        (alpha, sigma), slopes = schedule.coefficients(t), schedule.derivatives(t)
        x_t, scaling = alpha * x_0 + sigma * eps, predict(schedule, t)
        target = (x_0 - scaling.c_skip * x_t) / scaling.c_out
        ratio = sigma / alpha
        expected = {
            "velocity": slopes[0] * x_0 + slopes[1] * eps,
            "noise": eps,
            "clean": x_0,
            # Table 1 of the paper, at x = x_t / alpha and sigma / alpha.
            "karras": (x_0 - DEVIATION**2 / (ratio**2 + DEVIATION**2) * x_t / alpha)
            / (ratio * DEVIATION / jnp.sqrt(ratio**2 + DEVIATION**2)),
        }[prediction]
        np.testing.assert_allclose(target, expected, rtol=1e-11)
        if prediction == "karras":
            np.testing.assert_allclose(scaling.c_in * alpha, 1 / jnp.sqrt(ratio**2 + DEVIATION**2), rtol=1e-12)
            np.testing.assert_allclose(scaling.c_noise, jnp.log(ratio) / 4, rtol=1e-12)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_nothing_is_singular_at_pure_noise(prediction):
    for schedule in SCHEDULES.values():
        scaling = PREDICTIONS[prediction](schedule, jnp.array([schedule.end]))
        assert all(np.isfinite(value).all() for value in scaling)


def test_the_output_of_karras_is_zero_for_gaussian_images_of_its_deviation():
    schedule, t = variance_exploding(), jnp.array([0.05, 0.5, 30.0])
    x = jnp.array([0.2, -0.7, 12.0])[:, None, None, None]
    skip = karras(DEVIATION)(schedule, t).c_skip[:, None, None, None]
    np.testing.assert_allclose(skip * x, exact_denoiser(schedule, mean=0.0)(x, t), rtol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_boundary_holds_without_noise_and_changes_nothing_at_pure_noise(schedule):
    schedule = SCHEDULES[schedule]
    for prediction in (clean, velocity):
        bounded = with_boundary(prediction, 0.2)
        start, end = jnp.array([schedule.time(jnp.float32(1e-5))]), jnp.array([schedule.end])
        # At a ratio of 1e-5 the network has a share of (1e-5 / 0.2)^2, in float32.
        np.testing.assert_allclose(bounded(schedule, start)[1:3], [[1.0], [0.0]], atol=1e-3)
        np.testing.assert_allclose(bounded(schedule, end), prediction(schedule, end), rtol=1e-4, atol=1e-4)
        # Half of each where the noise is the ratio.
        half = jnp.array([schedule.time(jnp.float32(0.2))])
        alpha = schedule.coefficients(half)[0]
        _, c_skip, c_out, _ = prediction(schedule, half)
        np.testing.assert_allclose(bounded(schedule, half)[1:3], [(c_skip + 1 / alpha) / 2, c_out / 2], rtol=1e-4)
    with pytest.raises(ValueError, match="ratio of 0"):
        with_boundary(clean, 0.0)


def test_velocity_of_the_linear_schedule_is_flow_matching():
    model = digits()
    networks = networks_of(model)
    loss = jax.jit(denoising_loss(model))

    def by_hand(networks, key):
        """Equation (9) of the flow-matching paper, whose time runs the other way, with the draws of the loss."""
        keys = [jax.random.fold_in(key, crc) for crc in (crc32(b"times"), crc32(b"noise"))]
        t = 1e-4 + (1 - 1e-4) * stratified(keys[0], (3,))
        t, eps = t[:, None, None, None], jax.random.normal(keys[1], (3, *SPEC))
        image = BATCH["image"] / 127.5 - 1
        x_t = (1 - t) * image + t * eps
        inputs = x_t / jnp.sqrt(t**2 + (1 - t) ** 2), jax.nn.one_hot(BATCH["label"], 3)
        output = model.network.apply(networks["denoiser"], *inputs, train=True, noise_level=t.ravel())
        return jnp.square(output - (eps - image)).mean()

    value, aux = loss(networks, context())
    np.testing.assert_allclose(value, jax.jit(by_hand)(networks, context().key), rtol=1e-5)
    assert sum(float(metric.count) for metric in aux.metrics.values()) == 3


def test_weights_are_those_of_the_error_of_the_image():
    with float64():
        t = jnp.array([0.1, 0.5, 0.8])
        for schedule in SCHEDULES.values():
            alpha, sigma = schedule.coefficients(t)
            snr = alpha**2 / sigma**2
            of_velocity, of_karras = (jnp.square(p(schedule, t).c_out) for p in (velocity, karras(0.7)))
            np.testing.assert_allclose(flow_matching_weight(0.0)(schedule, t) * of_velocity, 1, rtol=1e-12)
            np.testing.assert_allclose(karras_weight(0.7)(schedule, t) * of_karras, 1, rtol=1e-12)
            np.testing.assert_allclose(min_snr_weight(2.0)(schedule, t), np.minimum(snr, 2.0), rtol=1e-12)
            expected = snr / (1 + snr * np.exp(-1.5))
            np.testing.assert_allclose(sigmoid_weight(1.5)(schedule, t), expected, rtol=1e-12)
        np.testing.assert_allclose(flow_matching_weight()(linear(), jnp.array([0.01, 0.2])), [400.0, 25.0], rtol=1e-12)


def test_times_are_stratified_and_have_the_distributions_of_the_papers():
    count = 2_000
    probability = stratified(jax.random.key(0), (count,))
    np.testing.assert_array_equal(jnp.floor(probability * count), jnp.arange(count))
    t = {
        "uniform": uniform_times(3.0)(probability) / 3,
        "logit": jnp.log(1 / logit_normal_times(0.4, 0.7)(probability) - 1),
        "log": jnp.log(log_normal_times(-1.2, 1.2)(probability)),
        "log uniform": jnp.log(log_uniform_times(jnp.e, jnp.e**3)(probability)) / 2,
    }
    expected = {"uniform": (0.5, 12**-0.5), "logit": (-0.4, 0.7), "log": (-1.2, 1.2), "log uniform": (1.0, 12**-0.5)}
    for name, (mean, std) in expected.items():
        np.testing.assert_allclose([t[name].mean(), t[name].std()], [mean, std], atol=0.01)


def test_the_loss_is_least_at_the_mean_of_the_data():
    values = MEAN + 0.1 * jax.random.normal(jax.random.key(8), (20_000, 1, 1, 1))
    images = jnp.round((values + 1) * 127.5).astype(jnp.uint8)
    loss = denoising_loss(GAUSSIAN._replace(network=GaussianNetwork(0.1)), min_snr_weight())

    def value(mean):
        networks = {"denoiser": {"params": {"mean": mean}}}
        return loss(networks, Context({"image": images}, jax.random.key(0), jnp.int32(0)))[0]

    left, centre, right = jax.device_get(jax.jit(jax.vmap(value))(jnp.array([-1.0, 0.0, 1.0])))
    # A parabola, whose vertex is off by the standard error of 20,000 residuals of about 0.1.
    assert abs((left - right) / (left + right - 2 * centre) / 2 - MEAN) < 0.005


def test_it_trains_with_the_whole_algebra():
    model = digits(prediction=clean)
    loss = drop_condition(add(flow=denoising_loss(model, flow_matching_weight())), LABELS)
    update = chain(
        denoiser=minimize(loss, optax.adam(1e-2), wrt="denoiser"), average=ema("denoiser", "denoiser_ema", 0.5)
    )
    state, metrics = trained(update, lambda: model.init(jax.random.key(0), SPEC), jax.random.key(1), BATCH, 30)
    values = metrics["denoiser/loss"].total
    assert values[-10:].mean() < 0.7 * values[:10].mean()
    images = use_ema(model.sampler())(state.networks, KEYS, label=BATCH["label"])
    assert (images.shape, images.dtype) == ((3, *SPEC), jnp.float32)
