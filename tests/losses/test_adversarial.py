from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.losses import (
    hinge_discriminator,
    least_squares_discriminator,
    least_squares_generator,
    logistic_discriminator,
    minimax_generator,
    non_saturating_generator,
    relativistic_average,
    relativistic_paired,
    wasserstein_critic,
    wasserstein_generator,
)


def logits():
    return np.random.default_rng(0).normal(0, 5, (2, 16)).astype(np.float32)


def test_the_discriminators_cost_is_minus_log_likelihood():
    real, fake = logits()
    chances = 1 / (1 + np.exp(-np.stack([real, -fake]).astype(np.float64)))
    expected = -np.log(chances).sum(0)
    np.testing.assert_allclose(jax.jit(logistic_discriminator)(real, fake), expected, rtol=1e-3, atol=1e-5)


def test_costs_at_indecision_are_in_nats():
    zero = np.zeros(1, np.float32)
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


def test_minimax_is_what_the_discriminator_gains():
    real, fake = logits()
    total = jax.jit(lambda real, fake: logistic_discriminator(real, fake) + minimax_generator(fake))(real, fake)
    np.testing.assert_allclose(total, np.logaddexp(0, -real), rtol=1e-5, atol=1e-6)


SIDES = [
    (logistic_discriminator, minimax_generator),
    (wasserstein_critic, wasserstein_generator),
]


@pytest.mark.parametrize(("discriminator", "generator"), SIDES)
def test_a_game_of_zero_sum_has_opposite_gradients_at_generated_images(discriminator, generator):
    real, fake = logits()
    objectives = (lambda fake: discriminator(real, fake).sum()), (lambda fake: generator(fake).sum())
    ours, theirs = jax.jit(lambda fake: [jax.grad(objective)(fake) for objective in objectives])(fake)
    np.testing.assert_allclose(ours, -np.asarray(theirs), rtol=1e-6)


@partial(jax.jit, static_argnums=0)
def slopes(objective, logit):
    """At a real and at a generated image with that logit."""
    return jax.grad(objective)(logit, 0.0), jax.grad(objective, argnums=1)(0.0, logit)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_best_logit_is_the_log_ratio_or_the_share_of_real_images(share):
    """At a point where a share of what is seen is real; 1/2 where both are alike."""

    def slope(objective, logit):
        of_real, of_fake = slopes(objective, np.float32(logit))
        return float(share * of_real + (1 - share) * of_fake)

    assert slope(logistic_discriminator, np.log(share / (1 - share))) == pytest.approx(0, abs=1e-6)
    assert slope(least_squares_discriminator, share) == pytest.approx(0, abs=1e-6)
    assert slope(hinge_discriminator, np.sign(share - 0.5) * 0.99) * np.sign(share - 0.5) <= 0


def test_least_squares_are_distances_from_one_and_nought():
    real, fake = logits()
    np.testing.assert_allclose(least_squares_discriminator(real, fake), ((real - 1) ** 2 + fake**2) / 2, rtol=1e-6)
    np.testing.assert_allclose(least_squares_generator(fake), (fake - 1) ** 2 / 2, rtol=1e-6)


def test_a_hinge_is_flat_beyond_its_margin():
    assert hinge_discriminator(jnp.float32(1.5), jnp.float32(-2.0)) == 0
    assert hinge_discriminator(jnp.float32(0.0), jnp.float32(0.0)) == 2
    assert jax.grad(hinge_discriminator, argnums=(0, 1))(0.5, -0.5) == (-1, 1)


@pytest.mark.parametrize("objective", [relativistic_paired, relativistic_average])
def test_relativistic_costs_see_differences_alone(objective):
    real, fake = logits()

    @jax.jit
    def run(shift):
        ours = jax.grad(lambda shift: objective(real + shift, fake).sum())(shift)
        theirs = jax.grad(lambda shift: objective(fake, real + shift).sum())(shift)
        return objective(real + 3, fake + 3), objective(real, fake), ours, theirs

    shifted, expected, ours, theirs = run(0.0)
    np.testing.assert_allclose(shifted, expected, rtol=1e-4, atol=1e-5)
    assert ours < 0 < theirs


def test_the_average_of_one_pair_is_both_sides_of_the_pair():
    np.testing.assert_allclose(
        relativistic_average(jnp.array([1.0]), jnp.array([3.0])), 2 * jax.nn.softplus(jnp.array([2.0]))
    )


@pytest.mark.agreement
def test_costs_are_pytorchs(torch):
    real, fake = logits()
    r, f = (torch.from_numpy(np.array(array)) for array in (real, fake))
    functional = torch.nn.functional
    pairs = [
        (least_squares_generator(fake), 0.5 * functional.mse_loss(f, torch.ones_like(f), reduction="none")),
        (hinge_discriminator(real, fake), functional.relu(1 - r) + functional.relu(1 + f)),
        (relativistic_paired(real, fake), -functional.logsigmoid(r - f)),
        (
            relativistic_average(real, fake),
            functional.binary_cross_entropy_with_logits(r - f.mean(), torch.ones_like(r), reduction="none")
            + functional.binary_cross_entropy_with_logits(f - r.mean(), torch.zeros_like(f), reduction="none"),
        ),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-6)
