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


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def images():
    return normal(*SHAPE)


def penalties(penalty, discriminator, *given, **options):
    """Those of the images, compiled."""
    return jax.jit(lambda *given: penalty(discriminator, *given, **options))(images(), *given)


def test_the_penalty_of_a_linear_discriminator_is_half_its_squared_weight():
    weight = normal(*SHAPE[1:], seed=1)
    penalty = penalties(zero_centred_penalty, lambda image: (image * weight).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(penalty, np.full(5, 0.5 * np.square(weight).sum()), rtol=1e-6)


def test_the_penalty_of_a_quadratic_discriminator_is_per_example():
    penalty = penalties(zero_centred_penalty, lambda image: 0.5 * jnp.square(image).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(penalty, 0.5 * np.square(images()).sum(axis=(1, 2, 3)), rtol=1e-6)


def test_its_gradient_is_that_of_its_closed_form():
    def total(weight):
        return zero_centred_penalty(lambda image: jnp.tanh((image * weight).sum(axis=(1, 2, 3))), images()).sum()

    def closed(weight):
        slope = 1 - jnp.square(jnp.tanh((images() * weight).sum(axis=(1, 2, 3))))
        return 0.5 * (jnp.square(slope) * jnp.square(weight).sum()).sum()

    weight = np.float32(0.1) * normal(*SHAPE[1:], seed=1)
    ours, expected = jax.jit(lambda weight: (jax.grad(total)(weight), jax.grad(closed)(weight)))(weight)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_the_penalty_is_float32_for_images_of_any_precision():
    penalty = jax.eval_shape(
        lambda images: zero_centred_penalty(lambda image: image.sum(axis=(1, 2, 3)), images),
        images().astype(jnp.bfloat16),
    )
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
    both = jax.jit(lambda weights: (penalty(weights), jax.grad(lambda w: penalty(w).sum())(weights)))
    told, gradients = both(weights)
    np.testing.assert_allclose(told, expected.detach().numpy(), rtol=1e-4)
    for ours, weight in zip(gradients, theirs, strict=True):
        np.testing.assert_allclose(ours, weight.grad.numpy(), rtol=1e-3, atol=1e-3)  # sums of hundreds of products


def curved(image):
    """A discriminator with a slope of its own at each image."""
    weight = normal(*SHAPE[1:], seed=1)
    return jnp.tanh((image * weight).sum(axis=(1, 2, 3)) / 4) + 0.1 * jnp.square(image).sum(axis=(1, 2, 3))


def test_slopes_are_those_of_finite_differences():
    with float64():
        image, slopes, judge = np.asarray(images(), np.float64), np.zeros(SHAPE[0]), jax.jit(curved)
        for place in np.ndindex(*image.shape[1:]):
            step = np.zeros_like(image)
            step[(slice(None), *place)] = 1e-5
            slopes += np.square((np.asarray(judge(image + step)) - np.asarray(judge(image - step))) / 2e-5)
        told, ones = jax.jit(lambda image: (squared_slopes(curved, image), one_centred_penalty(curved, image)))(image)
        np.testing.assert_allclose(told, slopes, rtol=1e-4)
        np.testing.assert_allclose(ones, np.square(np.sqrt(slopes) - 1), rtol=1e-3, atol=1e-4)


def test_random_directions_estimate_the_penalty():
    noise = normal(4_000, *SHAPE, seed=3)

    @jax.jit
    def run(noise):
        estimate = jax.vmap(lambda one: finite_difference_penalty(curved, images(), one))
        return estimate(noise), zero_centred_penalty(curved, images())

    estimates, exact = map(np.asarray, run(noise))
    error = estimates.std(0) / np.sqrt(len(noise))
    assert (np.abs(estimates.mean(0) - exact) < 5 * error).all()


def test_a_direction_of_a_linear_discriminator_is_exact():
    noise = normal(*SHAPE, seed=3)
    estimate = penalties(finite_difference_penalty, lambda image: image.sum((1, 2, 3)), noise)
    np.testing.assert_allclose(estimate, 0.5 * np.square(noise.sum((1, 2, 3))), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("slope", "both", "one"), [(3.0, 4.0, 4.0), (0.5, 0.25, 0.0), (1.0, 0.0, 0.0)])
def test_a_slope_of_one_costs_nothing_and_less_only_on_both_sides(slope, both, one):
    def linear(image):
        return slope * image[:, 0, 0, 0]

    np.testing.assert_allclose(penalties(one_centred_penalty, linear), np.full(5, both), atol=1e-5)
    np.testing.assert_allclose(penalties(one_centred_penalty, linear, one_sided=True), np.full(5, one), atol=1e-5)


def test_a_flat_discriminator_has_a_finite_gradient():
    def penalty(weight):
        return one_centred_penalty(lambda image: weight * image.sum((1, 2, 3)), images()).sum()

    assert np.isfinite(jax.jit(jax.grad(penalty))(0.0))


def test_lecam_is_the_distance_from_the_other_kinds_average():
    real, fake = np.float32([[1.0, 2.0], [-1.0, 0.0]])
    np.testing.assert_allclose(lecam_penalty(real, fake, 1.5, -0.5), [1.5**2 + 2.5**2, 2.5**2 + 1.5**2])
