import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.losses import logistic_discriminator, non_saturating_generator


def logits():
    return jax.random.normal(jax.random.key(0), (2, 16)) * 5


def test_the_discriminators_cost_is_minus_log_likelihood():
    real, fake = logits()
    expected = -jnp.log(jax.nn.sigmoid(real)) - jnp.log(1 - jax.nn.sigmoid(fake))
    np.testing.assert_allclose(logistic_discriminator(real, fake), expected, rtol=1e-3, atol=1e-5)


def test_costs_at_indecision_are_in_nats():
    zero = jnp.zeros(1)
    np.testing.assert_allclose(logistic_discriminator(zero, zero), 2 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(non_saturating_generator(zero), np.log(2), rtol=1e-6)


def test_indecision_is_the_discriminators_optimum_when_real_and_fake_are_alike():
    gradient = jax.grad(lambda logit: logistic_discriminator(logit, logit))(0.0)
    assert gradient == 0.0


def test_costs_of_huge_logits_are_finite_and_linear():
    huge = jnp.array([1e4, -1e4])
    np.testing.assert_allclose(logistic_discriminator(huge, -huge), [0.0, 2e4])
    np.testing.assert_allclose(non_saturating_generator(huge), [0.0, 1e4])
    assert jnp.isfinite(jax.vmap(jax.grad(non_saturating_generator))(huge)).all()


def test_a_confidently_rejected_image_still_has_a_gradient():
    assert jax.grad(non_saturating_generator)(-50.0) == pytest.approx(-1.0)


@pytest.mark.agreement
def test_costs_are_pytorchs_binary_cross_entropies(torch):
    real, fake = logits()

    def entropy(logits, target):
        given = torch.from_numpy(np.array(logits))
        return torch.nn.functional.binary_cross_entropy_with_logits(
            given, torch.full_like(given, target), reduction="none"
        ).numpy()

    np.testing.assert_allclose(logistic_discriminator(real, fake), entropy(real, 1.0) + entropy(fake, 0.0), rtol=1e-5)
    np.testing.assert_allclose(non_saturating_generator(fake), entropy(fake, 1.0), rtol=1e-5)
