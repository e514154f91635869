"""Variational bounds against a model whose likelihood is known exactly."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special, stats

from jaxgen import Context
from jaxgen.evaluation import negative_log_likelihood
from jaxgen.models import (
    Recognition,
    diagonal_gaussian,
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

    @jax.jit
    def use(networks, contexts):
        inferred = vae.infer(networks, context(), samples)
        value, _ = importance_weighted_loss(vae, samples=samples)(networks, context())
        several = jax.vmap(lambda context: elbo_loss(vae, samples=500)(networks, context)[0])(contexts)
        return inferred.log_weights, value, several

    contexts = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(context(seed=seed) for seed in range(4)))
    log_weights, value, several = use(networks, contexts)
    np.testing.assert_allclose(log_weights, np.tile(exact(IMAGES), (samples, 1)), rtol=1e-4)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    # The closed-form divergence leaves the chance in the likelihood term.
    np.testing.assert_allclose(np.mean(several), expected, rtol=2e-2)


def test_bounds_grow_with_the_number_of_samples_to_the_likelihood():
    vae, images = linear_vae(error=0.7), jnp.tile(IMAGES, (500, 1, 1, 1))
    networks, expected = made(vae), -exact(IMAGES).mean()
    losses = [importance_weighted_loss(vae, samples=samples) for samples in (1, 2, 8, 64)]
    values = jax.jit(lambda networks, context: [loss(networks, context)[0] for loss in losses])(
        networks, context(images)
    )
    values = [float(value) for value in values]
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

    losses = [make(vae, samples=4) for make in (importance_weighted_loss, doubly_reparameterized_loss)]

    @jax.jit
    def both(networks, context):
        return [jax.value_and_grad(lambda networks, loss=loss: loss(networks, context)[0])(networks) for loss in losses]

    (value, plain), (other, doubly) = both(networks, context(images))
    np.testing.assert_allclose(value, other, rtol=1e-5)
    np.testing.assert_allclose(*[g["encoder"]["params"]["error"] for g in (plain, doubly)], rtol=0.05)
    np.testing.assert_allclose(*[g["decoder"]["params"]["w"] for g in (plain, doubly)], rtol=0.05, atol=0.01)


def test_the_gradient_through_resampled_latents_is_that_through_all_in_expectation():
    vae = linear_vae(error=0.4)
    networks = made(vae)
    whole, resampled = (importance_weighted_loss(vae, samples=4, backward=m) for m in (None, 3))

    def difference(key):
        here = Context({"image": IMAGES}, key, jnp.int32(0))
        (value, _), gradient = jax.value_and_grad(whole, has_aux=True)(networks, here)
        (same, _), other = jax.value_and_grad(resampled, has_aux=True)(networks, here)
        return value - same, jax.tree.map(jnp.subtract, other, gradient)

    value, differences = jax.device_get(jax.jit(jax.vmap(difference))(jax.random.split(jax.random.key(0), 4_000)))
    np.testing.assert_allclose(value, 0, atol=1e-5)
    for leaf in jax.tree.leaves(differences):
        error = leaf.std(0) / math.sqrt(len(leaf))
        assert (np.abs(leaf.mean(0)) <= 4 * error + 1e-6).all()


def test_systematic_draws_are_the_shares_to_the_next_whole_number():
    shares = special.softmax(np.random.default_rng(0).standard_normal((9, 2_000), np.float32), axis=0)
    chosen = np.asarray(jax.jit(systematic, static_argnums=2)(jax.random.key(1), shares, 5))
    drawn = (chosen == np.arange(9)[:, None, None]).sum(1)
    assert (drawn.sum(0) == 5).all()
    assert (np.abs(drawn - 5 * shares) < 1).all()
    np.testing.assert_allclose((drawn - 5 * shares).mean(1), 0, atol=4 * 0.5 / math.sqrt(2_000))


def test_more_samples_backward_than_there_are_is_refused():
    with pytest.raises(ValueError, match="backward=5 was given; expected from 1 to samples=4"):
        importance_weighted_loss(linear_vae(), samples=4, backward=5)


def test_the_doubly_reparameterised_gradient_vanishes_at_the_exact_posterior():
    vae = linear_vae()
    networks, loss = made(vae), doubly_reparameterized_loss(vae, samples=3)
    gradient = jax.jit(jax.grad(lambda networks: loss(networks, context())[0]))(networks)
    np.testing.assert_allclose(gradient["encoder"]["params"]["error"], 0, atol=1e-4)


def test_the_sum_over_pixels_is_what_the_divergence_is_weighed_against():
    """Losses that average over pixels make the divergence count hundreds of times; ours is the sum of both terms."""
    vae = linear_vae(error=0.5)
    networks = made(vae)

    @jax.jit
    def use(networks, context):
        return (
            vae.infer(networks, context),
            elbo_loss(vae)(networks, context),
            vae.encode(networks, context.batch, train=False)[0],
        )

    inferred, (value, aux), (mean, log_variance) = jax.device_get(use(networks, context()))
    np.testing.assert_allclose(value, (inferred.kl.sum(-1) - inferred.log_likelihood).mean(), rtol=1e-6)
    divergence = 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum(-1).mean()
    np.testing.assert_allclose(aux.metrics["rate"].total / aux.metrics["rate"].count, divergence, rtol=1e-5)


def test_beta_and_free_bits_change_the_loss_and_not_the_metrics():
    vae = linear_vae(error=0.5)
    networks = made(vae)
    losses = [
        elbo_loss(vae),
        elbo_loss(vae, beta=2.0),
        elbo_loss(vae, beta=optax.linear_schedule(0.0, 1.0, 10)),
        elbo_loss(vae, free_bits=9.0),
        elbo_loss(vae, free_bits=1e-6),
    ]
    found = jax.jit(lambda networks, context: [loss(networks, context) for loss in losses])(networks, context())
    (plain, aux), (double, also), (late, _), (charged, _), (free, _) = jax.device_get(found)
    rate = aux.metrics["rate"].total / aux.metrics["rate"].count
    np.testing.assert_allclose(double - plain, rate, rtol=1e-4)
    chex.assert_trees_all_equal(aux.metrics, also.metrics)
    np.testing.assert_allclose(plain - late, rate, rtol=1e-4)
    np.testing.assert_allclose(charged - plain, 9 - rate, rtol=1e-4)
    np.testing.assert_allclose(free, plain, rtol=1e-6)


def test_a_vamp_prior_is_the_mixture_of_its_posteriors():
    vae = linear_vae(error=0.3)._replace(prior=vamp_prior(3))
    networks = made(vae)
    latent = np.linspace(-1, 1, 5, dtype=np.float32)[:, None]

    @jax.jit
    def use(networks, keys):
        pseudo_inputs = jnp.tanh(networks["prior"]["params"]["logits"])
        return (
            vae.encoder.apply(networks["encoder"], pseudo_inputs, train=False),
            vae.prior.log_prob(networks, vae.recognition, latent),
            vae.infer(networks, context(), 5),
            jax.vmap(lambda key: vae.prior.sample(networks, vae.recognition, key, 1))(keys),
        )

    found = use(networks, jax.random.split(jax.random.key(0), 5_000))
    (means, log_variances), log_prob, inferred, drawn = jax.device_get(found)
    expected = np.mean(
        [stats.norm(m, np.exp(v / 2)).pdf(latent)[:, 0] for m, v in zip(means, log_variances, strict=True)], axis=0
    )
    np.testing.assert_allclose(np.exp(log_prob), expected, rtol=1e-4)
    np.testing.assert_allclose(inferred.kl.sum(-1), inferred.log_ratio, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(drawn.mean(), means.mean(), atol=0.05)


def test_one_pseudo_input_of_a_standard_normal_encoder_is_the_standard_normal_prior():
    recognition = Recognition(lambda _, image: (jnp.zeros((len(image), 2)),) * 2, diagonal_gaussian())

    @jax.jit
    def densities(latent):
        networks = {**vamp_prior(1).init(jax.random.key(0), jnp.zeros((1, 2, 2, 1)))}
        return [prior.log_prob(networks, recognition, latent) for prior in (vamp_prior(1), standard_normal())]

    one, other = densities(np.random.default_rng(0).standard_normal((4, 2), np.float32))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_total_correlation_at_beta_one_is_the_bound_in_expectation():
    vae, images = linear_vae(error=0.3), jnp.tile(IMAGES, (50, 1, 1, 1))
    networks = made(vae)
    losses = [elbo_loss(vae), *(total_correlation_loss(vae, beta=beta, dataset_size=300) for beta in (1.0, 9.0))]
    plain, whole, weighed = jax.jit(lambda networks, context: [loss(networks, context)[0] for loss in losses])(
        networks, context(images)
    )
    np.testing.assert_allclose(whole, plain, rtol=0.02)
    # One latent has no correlation to others, whatever its weight.
    np.testing.assert_allclose(weighed, whole, rtol=1e-5)


def test_total_correlation_is_of_the_standard_normal_prior():
    with pytest.raises(ValueError, match="expected standard_normal"):
        total_correlation_loss(linear_vae()._replace(prior=vamp_prior(3)), beta=2.0, dataset_size=10)
    zeros = np.zeros((2, 1), np.float32)
    # More pairs than an int32 counts.
    jax.jit(lambda z: aggregate_densities(diagonal_gaussian(), (z, z), z, dataset_size=2**40))(zeros)


def test_aggregate_densities_are_those_of_their_definition():
    latent, centre, log_variance = np.random.default_rng(0).standard_normal((3, 4, 2), np.float32)
    joint, single = jax.jit(lambda params, z: aggregate_densities(diagonal_gaussian(), params, z, 10))(
        (centre, log_variance), latent
    )
    pairs = stats.norm(centre, np.exp(log_variance / 2)).pdf(latent[:, None])
    np.testing.assert_allclose(joint, np.log(pairs.prod(-1).sum(1) / 40), rtol=1e-4)
    np.testing.assert_allclose(single, np.log(pairs.sum(1) / 40), rtol=1e-4)
