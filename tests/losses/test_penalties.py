import jax
import jax.numpy as jnp
import numpy as np

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
