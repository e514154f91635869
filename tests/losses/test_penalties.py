import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.losses import zero_centred_penalty

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
