"""Variational bounds against a model whose likelihood is known exactly."""

import math

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from jaxgen import Context
from jaxgen.evaluation import negative_log_likelihood
from jaxgen.models import (
    doubly_reparameterized_loss,
    elbo_loss,
    importance_weighted_loss,
    standard_normal,
    total_correlation_loss,
    vamp_prior,
)
from jaxgen.models.vae.importance_weighted import systematic
from jaxgen.models.vae.total_correlation import aggregate_densities
from tests.models.linear_vae import (
    IMAGES,
    context,
    exact,
    linear_vae,
    made,
)


@pytest.mark.parametrize("samples", [1, 7])
def test_with_the_exact_posterior_both_bounds_are_the_likelihood(samples):
    vae = linear_vae()
    networks, expected = made(vae), -exact(IMAGES).mean()
    inferred = vae.infer(networks, context(), samples)
    np.testing.assert_allclose(inferred.log_weights, np.tile(exact(IMAGES), (samples, 1)), rtol=1e-4)
    value, _ = importance_weighted_loss(vae, samples=samples)(networks, context())
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    # The closed-form divergence leaves the chance in the likelihood term.
    value = np.mean([elbo_loss(vae, samples=500)(networks, context(seed=seed))[0] for seed in range(4)])
    np.testing.assert_allclose(value, expected, rtol=2e-2)


def test_bounds_grow_with_the_number_of_samples_to_the_likelihood():
    vae, images = linear_vae(error=0.7), jnp.tile(IMAGES, (500, 1, 1, 1))
    networks, expected = made(vae), -exact(IMAGES).mean()
    values = [
        float(importance_weighted_loss(vae, samples=samples)(networks, context(images))[0]) for samples in (1, 2, 8, 64)
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] > expected - 0.01
    assert values[0] - expected > 5 * (values[-1] - expected)


def test_importance_samples_estimate_the_likelihood_from_above():
    vae = linear_vae(error=0.5)
    networks = made(vae)

    def log_weights(images, key, samples):
        return vae.infer(networks, Context({"image": images}, key, jnp.int32(0)), samples, train=False).log_weights

    images = np.tile(np.asarray(IMAGES), (50, 1, 1, 1))
    expected = -exact(IMAGES).mean()
    few = negative_log_likelihood(log_weights, images, samples=2, batch=100)
    many = negative_log_likelihood(log_weights, images, samples=5_000, batch=70, chunk=128)
    assert few.value > many.value
    np.testing.assert_allclose(many.value, expected, rtol=2e-3)


def test_gradients_of_both_estimators_have_one_expectation():
    vae, images = linear_vae(error=0.5), jnp.tile(IMAGES, (4_000, 1, 1, 1))
    networks = made(vae)

    def gradients(loss):
        return jax.grad(lambda networks: loss(networks, context(images))[0])(networks)

    losses = [make(vae, samples=4) for make in (importance_weighted_loss, doubly_reparameterized_loss)]
    values = [loss(networks, context(images))[0] for loss in losses]
    np.testing.assert_allclose(*values, rtol=1e-5)
    plain, doubly = map(gradients, losses)
    np.testing.assert_allclose(*[g["encoder"]["params"]["error"] for g in (plain, doubly)], rtol=0.05)
    np.testing.assert_allclose(*[g["decoder"]["params"]["w"] for g in (plain, doubly)], rtol=0.05, atol=0.01)


def test_the_gradient_through_resampled_latents_is_that_through_all_in_expectation():
    vae = linear_vae(error=0.4)
    networks = made(vae)
    whole, resampled = (importance_weighted_loss(vae, samples=4, backward=m) for m in (None, 3))

    def difference(key):
        given = Context({"image": IMAGES}, key, jnp.int32(0))
        (value, _), gradient = jax.value_and_grad(whole, has_aux=True)(networks, given)
        (same, _), other = jax.value_and_grad(resampled, has_aux=True)(networks, given)
        return value - same, jax.tree.map(jnp.subtract, other, gradient)

    value, differences = jax.vmap(difference)(jax.random.split(jax.random.key(0), 4_000))
    np.testing.assert_allclose(value, 0, atol=1e-5)
    for leaf in jax.tree.leaves(differences):
        error = leaf.std(0) / math.sqrt(len(leaf))
        assert (jnp.abs(leaf.mean(0)) <= 4 * error + 1e-6).all()


def test_systematic_draws_are_the_shares_to_the_next_whole_number():
    shares = jax.nn.softmax(jax.random.normal(jax.random.key(0), (9, 2_000)), axis=0)
    drawn = jax.nn.one_hot(systematic(jax.random.key(1), shares, 5), 9, axis=0).sum(1)
    assert (drawn.sum(0) == 5).all()
    assert (jnp.abs(drawn - 5 * shares) < 1).all()
    np.testing.assert_allclose((drawn - 5 * shares).mean(1), 0, atol=4 * 0.5 / math.sqrt(2_000))


def test_more_samples_backward_than_there_are_is_refused():
    with pytest.raises(ValueError, match="backward=5 was given; expected from 1 to samples=4"):
        importance_weighted_loss(linear_vae(), samples=4, backward=5)


def test_the_doubly_reparameterised_gradient_vanishes_at_the_exact_posterior():
    vae = linear_vae()
    networks, loss = made(vae), doubly_reparameterized_loss(vae, samples=3)
    gradient = jax.grad(lambda networks: loss(networks, context())[0])(networks)
    np.testing.assert_allclose(gradient["encoder"]["params"]["error"], 0, atol=1e-4)


def test_the_sum_over_pixels_is_what_the_divergence_is_weighed_against():
    """Losses that average over pixels make the divergence count hundreds of times; ours is the sum of both terms."""
    vae = linear_vae(error=0.5)
    networks = made(vae)
    inferred = vae.infer(networks, context())
    value, aux = elbo_loss(vae)(networks, context())
    np.testing.assert_allclose(value, (inferred.kl.sum(-1) - inferred.log_likelihood).mean(), rtol=1e-6)
    (mean, log_variance), _ = vae.encode(networks, context().batch, train=False)
    divergence = 0.5 * (mean**2 + jnp.exp(log_variance) - log_variance - 1).sum(-1).mean()
    np.testing.assert_allclose(aux.metrics["rate"].total / aux.metrics["rate"].count, divergence, rtol=1e-5)


def test_beta_and_free_bits_change_what_is_charged_and_not_what_is_told():
    vae = linear_vae(error=0.5)
    networks = made(vae)
    plain, told = elbo_loss(vae)(networks, context())
    rate = told.metrics["rate"].total / told.metrics["rate"].count
    double, also = elbo_loss(vae, beta=2.0)(networks, context())
    np.testing.assert_allclose(double - plain, rate, rtol=1e-4)
    chex.assert_trees_all_equal(told.metrics, also.metrics)
    late = elbo_loss(vae, beta=optax.linear_schedule(0.0, 1.0, 10))(networks, context())[0]
    np.testing.assert_allclose(plain - late, rate, rtol=1e-4)
    np.testing.assert_allclose(elbo_loss(vae, free_bits=9.0)(networks, context())[0] - plain, 9 - rate, rtol=1e-4)
    np.testing.assert_allclose(elbo_loss(vae, free_bits=1e-6)(networks, context())[0], plain, rtol=1e-6)


def test_a_vamp_prior_is_the_mixture_of_its_posteriors():
    vae = linear_vae(error=0.3)._replace(prior=vamp_prior(3))
    networks = made(vae)
    pseudo_inputs = jnp.tanh(networks["prior"]["params"]["logits"])
    means, log_variances = vae.encoder.apply(networks["encoder"], pseudo_inputs, train=False)
    latent = jnp.linspace(-1, 1, 5)[:, None]
    expected = np.mean(
        [stats.norm(m, np.exp(v / 2)).pdf(latent)[:, 0] for m, v in zip(means, log_variances, strict=True)], axis=0
    )
    np.testing.assert_allclose(jnp.exp(vae.prior.log_prob(networks, vae.encoder, latent)), expected, rtol=1e-4)
    inferred = vae.infer(networks, context(), 5)
    np.testing.assert_allclose(inferred.kl.sum(-1), inferred.log_ratio, rtol=1e-4, atol=1e-5)
    keys = jax.random.split(jax.random.key(0), 5_000)
    drawn = jax.vmap(lambda key: vae.prior.sample(networks, vae.encoder, key, 1))(keys)
    np.testing.assert_allclose(drawn.mean(), means.mean(), atol=0.05)


def test_one_pseudo_input_of_a_standard_normal_encoder_is_the_standard_normal_prior():
    class Nothing(nn.Module):
        def __call__(self, image, *, train):
            return jnp.zeros((len(image), 2)), jnp.zeros((len(image), 2))

    latent = jax.random.normal(jax.random.key(0), (4, 2))
    networks = {"encoder": {}, **vamp_prior(1).init(jax.random.key(0), jnp.zeros((1, 2, 2, 1)))}
    one, other = (prior.log_prob(networks, Nothing(), latent) for prior in (vamp_prior(1), standard_normal()))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_total_correlation_at_beta_one_is_the_bound_in_expectation():
    vae, images = linear_vae(error=0.3), jnp.tile(IMAGES, (50, 1, 1, 1))
    networks = made(vae)
    plain = elbo_loss(vae)(networks, context(images))[0]
    whole = total_correlation_loss(vae, beta=1.0, dataset_size=300)(networks, context(images))[0]
    np.testing.assert_allclose(whole, plain, rtol=0.02)
    # One latent has no correlation to others, whatever its weight.
    weighed = total_correlation_loss(vae, beta=9.0, dataset_size=300)(networks, context(images))[0]
    np.testing.assert_allclose(weighed, whole, rtol=1e-5)


def test_total_correlation_is_of_the_standard_normal_prior():
    with pytest.raises(ValueError, match="expected standard_normal"):
        total_correlation_loss(linear_vae()._replace(prior=vamp_prior(3)), beta=2.0, dataset_size=10)
    aggregate_densities(*jnp.zeros((3, 2, 1)), dataset_size=2**40)  # more pairs than an int32 counts


def test_aggregate_densities_are_those_of_their_definition():
    latent, centre, log_variance = jax.random.normal(jax.random.key(0), (3, 4, 2))
    joint, single = aggregate_densities(latent, centre, log_variance, 10)
    pairs = stats.norm(centre, np.exp(log_variance / 2)).pdf(np.asarray(latent)[:, None])
    np.testing.assert_allclose(joint, np.log(pairs.prod(-1).sum(1) / 40), rtol=1e-4)
    np.testing.assert_allclose(single, np.log(pairs.sum(1) / 40), rtol=1e-4)
