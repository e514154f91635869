"""Consistency tuning against the flow of a Gaussian, whose consistency function has a closed form."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import Context, ImageSpec
from jaxgen.models.diffusion import (
    Diffusion,
    clean,
    consistency_function,
    consistency_tuning_loss,
    cosine,
    karras,
    linear,
    multistep_consistency,
    noise,
    noise_levels,
    sigmoid_mapping,
    variance_exploding,
    velocity,
    with_boundary,
)
from jaxgen.models.diffusion.model import per_image

SPEC, STD = ImageSpec(4, 6, 1), 0.5
SCHEDULES = linear(), cosine(), variance_exploding()
KEYS = jax.random.split(jax.random.key(7), 2_000)


class GaussianConsistency(nn.Module):
    """The images at the ends of the flow of N(mean, std^2) of the linear schedule, or the expected images."""

    std: float
    is_exact: bool = True
    mean: float = 0.0

    @nn.compact
    def __call__(self, x, *, train, noise_level):
        error = self.param("error", lambda _: jnp.float32(0.0))
        sigma = per_image(noise_level)
        variance = jnp.square((1 - sigma) * self.std) + jnp.square(sigma)
        factor = self.std / jnp.sqrt(variance) if self.is_exact else (1 - sigma) * self.std**2 / variance
        return self.mean + (factor + error * sigma) * (x - (1 - sigma) * self.mean)


def unscaled(schedule, t):
    """The prediction `clean` of a network that takes x_t as it is."""
    return clean(schedule, t)._replace(c_in=jnp.ones_like(t))


def gaussian(std=STD, **options):
    network = GaussianConsistency(std, **options)
    model = Diffusion(network, SPEC, prediction=unscaled, solver=multistep_consistency)
    return model, {"denoiser": {"params": {"error": jnp.float32(0.0)}}}


@pytest.mark.parametrize("prediction", [velocity, noise, clean, karras(0.6), with_boundary(clean)])
def test_at_the_least_time_the_consistency_function_is_the_identity(prediction):
    x = np.random.default_rng(1).standard_normal((2, *SPEC)).astype(np.float32)

    def images(x, t):
        models = [gaussian()[0]._replace(schedule=schedule, prediction=prediction) for schedule in SCHEDULES]
        return [consistency_function(model, gaussian()[1], x, jnp.stack([t, t]))[0] for model in models]

    images = jax.jit(images)
    np.testing.assert_array_equal(images(x, 0.0), [x] * len(SCHEDULES))
    if prediction is not clean:  # whose network alone can make it continuous: `with_boundary`
        np.testing.assert_allclose(images(x, 1e-4), [x] * len(SCHEDULES), atol=5e-3)


def gradient_by_error(model, networks, gap):
    """The gradient by an error of the consistency function that grows with the noise, and the loss."""
    random = np.random.default_rng(0)
    images = np.clip(np.round((1 + STD * random.standard_normal((4_000, *SPEC))) * 127.5), 0, 255).astype(np.uint8)
    loss = consistency_tuning_loss(model, lambda _, ratio: (1 - gap) * ratio, lambda _, t: jnp.ones_like(t))
    context = Context({"image": jnp.asarray(images)}, jax.random.key(3), jnp.int32(0))
    value, gradients = jax.jit(jax.value_and_grad(lambda networks: loss(networks, context)[0]))(networks)
    return float(gradients["denoiser"]["params"]["error"]), float(value)


def test_the_exact_consistency_function_has_a_loss_of_zero_in_the_limit_and_is_stationary():
    model, networks = gaussian()
    (_, coarse), (gradient, fine) = (gradient_by_error(model, networks, gap) for gap in (0.2, 0.01))
    # Differences of the same noise at neighbouring times are proportional to the step.
    assert fine < 0.1 * coarse
    expected_images, _ = gaussian(is_exact=False)
    assert abs(gradient) < 0.1 * abs(gradient_by_error(expected_images, networks, 0.01)[0])


def test_the_loss_of_a_point_is_zero_at_every_stage():
    model, networks = gaussian(0.0, mean=51 / 127.5 - 1)
    wrong = {"denoiser": {"params": {"error": jnp.float32(0.1)}}}
    loss = jax.jit(consistency_tuning_loss(model, sigmoid_mapping(10), lambda _, t: jnp.ones_like(t)))
    for step in (0, 40, 200):
        context = Context({"image": jnp.full((8, *SPEC), 51, jnp.uint8)}, jax.random.key(3), jnp.int32(step))
        assert loss(networks, context)[0] < 1e-6
    assert loss(wrong, context._replace(step=jnp.int32(0)))[0] > 1e-2


def test_the_first_stage_is_denoising_at_low_noise_and_stages_halve_the_steps():
    mapping, levels = sigmoid_mapping(1_000), jnp.array([0.01, 1.0, 3.0, 80.0])
    first = mapping(jnp.int32(999), levels)
    np.testing.assert_array_equal(first[:2], 0)
    gaps = [1 - mapping(jnp.int32(step), levels) / levels for step in (5_000, 5_999, 6_000)]
    np.testing.assert_allclose(gaps[0], gaps[1])
    np.testing.assert_allclose(gaps[0], 2 * gaps[2], rtol=1e-4)
    np.testing.assert_allclose(gaps[0], (1 + 8 / (1 + np.exp(levels))) / 2**6, rtol=1e-4)


@pytest.mark.parametrize("levels", [(), (1.0,), (4.0, 1.0, 0.3)])
def test_any_number_of_steps_of_the_exact_consistency_function_draws_the_exact_distribution(levels):
    model, networks = gaussian()
    images = jax.jit(model._replace(grid=noise_levels(*levels)).sampler())(networks, KEYS)
    count = images.size
    assert abs(images.mean()) < 4 * STD / np.sqrt(count)
    assert abs(images.std() - STD) < 4 * STD / np.sqrt(2 * count)
    if not levels:
        starts = jax.vmap(lambda key: jax.random.normal(jax.random.split(key)[0], SPEC))(KEYS)
        np.testing.assert_allclose(images, STD * starts, atol=1e-6)


def test_an_image_does_not_depend_on_the_batch():
    model, networks = gaussian()
    sampler = jax.jit(model._replace(grid=noise_levels(1.0)).sampler())
    np.testing.assert_array_equal(sampler(networks, KEYS[3:4])[0], sampler(networks, KEYS[:8])[3])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sigmoid_mapping(0), "0 steps"),
        (lambda: sigmoid_mapping(10, q=1.0), "q 1.0"),
        (lambda: noise_levels(1.0, 2.0), "levels that fall"),
        (lambda: noise_levels(0.0), "positive levels"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
