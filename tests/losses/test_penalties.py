import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.losses import (
    finite_difference_penalty,
    lecam_penalty,
    one_centred_penalty,
    squared_slopes,
    zero_centred_penalty,
)
from tests.programs import float64

SHAPE = (5, 4, 4, 1)


def images():
    return jax.random.normal(jax.random.key(0), SHAPE)


def test_the_penalty_of_a_linear_discriminator_is_half_its_squared_weight():
    weight = jax.random.normal(jax.random.key(1), SHAPE[1:])
    penalty = zero_centred_penalty(lambda image: (image * weight).sum(axis=(1, 2, 3)), images())
    np.testing.assert_allclose(penalty, jnp.full(5, 0.5 * jnp.square(weight).sum()), rtol=1e-6)


def test_the_penalty_of_a_quadratic_discriminator_is_per_example():
    penalty = zero_centred_penalty(lambda image: 0.5 * jnp.square(image).sum(axis=(1, 2, 3)), images())
    np.testing.assert_allclose(penalty, 0.5 * jnp.square(images()).sum(axis=(1, 2, 3)), rtol=1e-6)


def test_its_gradient_is_that_of_its_closed_form():
    def total(weight):
        return zero_centred_penalty(lambda image: jnp.tanh((image * weight).sum(axis=(1, 2, 3))), images()).sum()

    def closed(weight):
        slope = 1 - jnp.square(jnp.tanh((images() * weight).sum(axis=(1, 2, 3))))
        return 0.5 * (jnp.square(slope) * jnp.square(weight).sum()).sum()

    weight = 0.1 * jax.random.normal(jax.random.key(1), SHAPE[1:])
    np.testing.assert_allclose(jax.grad(total)(weight), jax.grad(closed)(weight), rtol=1e-4, atol=1e-6)


def test_the_penalty_is_float32_for_images_of_any_precision():
    penalty = zero_centred_penalty(lambda image: image.sum(axis=(1, 2, 3)), images().astype(jnp.bfloat16))
    assert penalty.dtype == jnp.float32


@pytest.mark.agreement
def test_r1_and_its_gradient_are_those_of_pytorchs_double_backward(torch):
    real = np.array(images()).reshape(5, -1)
    weights = [np.random.default_rng(n).normal(size=size).astype(np.float32) for n, size in enumerate([(16, 8), (8,)])]

    def penalty(weights):
        def judge(image):
            return jax.nn.softplus(image.reshape(5, -1) @ weights[0]) @ weights[1]

        return zero_centred_penalty(judge, real.reshape(SHAPE))

    given = torch.from_numpy(real).requires_grad_()
    theirs = [torch.from_numpy(weight).requires_grad_() for weight in weights]
    logits = torch.nn.functional.softplus(given @ theirs[0]) @ theirs[1]
    (slope,) = torch.autograd.grad(logits.sum(), given, create_graph=True)
    expected = 0.5 * slope.square().sum(dim=1)
    expected.sum().backward()
    np.testing.assert_allclose(penalty(weights), expected.detach().numpy(), rtol=1e-4)
    for ours, weight in zip(jax.grad(lambda w: penalty(w).sum())(weights), theirs, strict=True):
        np.testing.assert_allclose(ours, weight.grad.numpy(), rtol=1e-3, atol=1e-3)  # sums of hundreds of products


def curved(image):
    """A discriminator with a slope of its own at each image."""
    weight = jax.random.normal(jax.random.key(1), SHAPE[1:])
    return jnp.tanh((image * weight).sum(axis=(1, 2, 3)) / 4) + 0.1 * jnp.square(image).sum(axis=(1, 2, 3))


def test_slopes_are_those_of_finite_differences():
    with float64():
        image = np.asarray(images(), np.float64)
        slopes = np.zeros(len(image))
        for place in np.ndindex(*image.shape[1:]):
            step = np.zeros_like(image)
            step[(slice(None), *place)] = 1e-5
            slopes += np.square((np.asarray(curved(image + step)) - np.asarray(curved(image - step))) / 2e-5)
        np.testing.assert_allclose(squared_slopes(curved, jnp.asarray(image)), slopes, rtol=1e-4)
        ones = one_centred_penalty(curved, jnp.asarray(image))
        np.testing.assert_allclose(ones, np.square(np.sqrt(slopes) - 1), rtol=1e-3, atol=1e-4)


def test_random_directions_estimate_the_penalty():
    noise = jax.random.normal(jax.random.key(3), (4_000, *SHAPE))
    estimates = jax.vmap(lambda one: finite_difference_penalty(curved, images(), one))(noise)
    exact = zero_centred_penalty(curved, images())
    error = estimates.std(0) / np.sqrt(len(noise))
    assert (jnp.abs(estimates.mean(0) - exact) < 5 * error).all()


def test_a_direction_of_a_linear_discriminator_is_exact():
    weight = jnp.ones(SHAPE[1:])
    noise = jax.random.normal(jax.random.key(3), SHAPE)
    estimate = finite_difference_penalty(lambda image: (image * weight).sum((1, 2, 3)), images(), noise)
    np.testing.assert_allclose(estimate, 0.5 * jnp.square((noise * weight).sum((1, 2, 3))), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("slope", "both", "one"), [(3.0, 4.0, 4.0), (0.5, 0.25, 0.0), (1.0, 0.0, 0.0)])
def test_a_slope_of_one_costs_nothing_and_less_only_on_both_sides(slope, both, one):
    def linear(image):
        return slope * image[:, 0, 0, 0]

    np.testing.assert_allclose(one_centred_penalty(linear, images()), jnp.full(5, both), atol=1e-5)
    np.testing.assert_allclose(one_centred_penalty(linear, images(), one_sided=True), jnp.full(5, one), atol=1e-5)


def test_a_flat_discriminator_has_a_finite_gradient():
    def penalty(weight):
        return one_centred_penalty(lambda image: weight * image.sum((1, 2, 3)), images()).sum()

    assert jnp.isfinite(jax.grad(penalty)(0.0))


def test_lecam_is_the_distance_from_the_other_kinds_average():
    real, fake = jnp.array([1.0, 2.0]), jnp.array([-1.0, 0.0])
    np.testing.assert_allclose(lecam_penalty(real, fake, 1.5, -0.5), [1.5**2 + 2.5**2, 2.5**2 + 1.5**2])
