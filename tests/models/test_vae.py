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

from jaxgen import Context, ImageSpec, add, chain, init_state, make_step, minimize, renamed, scale, to_float
from jaxgen.condition import images as whole_images
from jaxgen.condition import labels, told
from jaxgen.evaluation import negative_log_likelihood
from jaxgen.losses import bernoulli, gaussian, learned_gaussian, logistic_discriminator, non_saturating_generator
from jaxgen.models import (
    GAN,
    VAE,
    LadderVAE,
    discriminator_loss,
    doubly_reparameterized_loss,
    elbo_loss,
    generator_loss,
    importance_weighted_loss,
    interpolations,
    latent_map,
    reconstructions,
    standard_normal,
    total_correlation_loss,
    vamp_prior,
)
from jaxgen.models.importance_weighted import systematic
from jaxgen.models.total_correlation import aggregate_densities
from jaxgen.nets import (
    ConvDecoder,
    ConvEncoder,
    DCGANDiscriminator,
    Dropout,
    LadderDecoder,
    LadderEncoder,
    MLPDecoder,
    MLPEncoder,
    ResidualDecoder,
    ResidualEncoder,
)
from jaxgen.objective import stream

SIDE, LATENTS, VARIANCE = 2, 1, 0.25
SPEC = ImageSpec(SIDE, SIDE, 1)
IMAGES = jax.random.randint(jax.random.key(5), (6, SIDE, SIDE, 1), 0, 256).astype(jnp.uint8)


class LinearEncoder(nn.Module):
    """The exact posterior of x = w z + b + noise, moved away from it by `error`."""

    error: float = 0.0

    @nn.compact
    def __call__(self, image, *, train):
        w, b = weights()
        error = self.param("error", lambda _: jnp.asarray(self.error))
        precision = 1 + (w**2).sum() / VARIANCE
        mean = ((image.reshape(len(image), -1) - b) @ w / VARIANCE / precision)[:, None]
        return mean + error, jnp.full_like(mean, -jnp.log(precision)) + error


class LinearDecoder(nn.Module):
    @nn.compact
    def __call__(self, latent, *, train):
        w = self.param("w", lambda _: weights()[0])
        return (latent * w + weights()[1]).reshape(-1, SIDE, SIDE, 1)


def weights():
    return jax.random.normal(jax.random.key(0), (2, SIDE * SIDE))


def linear_vae(error=0.0):
    return VAE(LinearEncoder(error), LinearDecoder(), gaussian(VARIANCE), LATENTS)


def exact(images):
    """log p(x) of x ~ N(b, w w' + v I)."""
    w, b = (np.asarray(part, np.float64) for part in weights())
    flat = np.asarray(to_float(images), np.float64).reshape(len(images), -1)
    return stats.multivariate_normal(b, np.outer(w, w) + VARIANCE * np.eye(len(w))).logpdf(flat)


def context(images=IMAGES, seed=1, **fields):
    return Context({"image": images, **fields}, jax.random.key(seed), jnp.int32(0))


def made(model, images=IMAGES, **fields):
    return model.init(jax.random.key(0), {"image": images, **fields})


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


SPEC = ImageSpec(8, 12, 1)
BATCH = {
    "image": jax.random.randint(jax.random.key(9), (4, *SPEC), 0, 256).astype(jnp.uint8),
    "label": jnp.arange(4, dtype=jnp.int32),
}


def families(channels):
    output = SPEC._replace(channels=channels)
    return {
        "mlp": VAE(MLPEncoder(3, (5,)), MLPDecoder(output, (5,)), bernoulli(), 3),
        "conv": VAE(ConvEncoder(3, 2), ConvDecoder(output, 2), bernoulli(), 3),
        "residual": VAE(ResidualEncoder(3, 2, 1, 4), ResidualDecoder(output, 2, 1, 4), bernoulli(), 3),
        "ladder": LadderVAE(LadderEncoder(2, 1, 4), LadderDecoder(output, 3, 2, (1, 1), 2, 1, 4), bernoulli()),
    }


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", families(1))
def test_a_step_keeps_types_and_images_keep_their_size(name, channels):
    model = families(channels)[name]
    batch = {"image": jnp.zeros((4, 8, 12, channels), jnp.uint8)}

    def whole(key):
        networks = model.init(key, batch)
        update = minimize(importance_weighted_loss(model, samples=2), optax.adam(1e-2), wrt=("encoder", "decoder"))
        state = init_state(update, networks, key, batch)
        return state, model.sampler()(networks, jax.random.split(key, 5)), model.reconstruct(networks, batch)

    _, drawn, reconstructed = jax.eval_shape(whole, jax.random.key(0))
    assert (drawn.shape, reconstructed.shape) == ((5, 8, 12, channels), (4, 8, 12, channels))


@pytest.mark.parametrize(("name", "channels"), [("mlp", 3), ("conv", 1), ("residual", 3), ("ladder", 1)])
def test_every_network_trains_and_draws(name, channels):
    model = families(channels)[name]
    batch = {**BATCH, "image": jnp.broadcast_to(BATCH["image"], (4, 8, 12, channels))}
    networks = model.init(jax.random.key(0), batch)
    update = chain(vae=minimize(elbo_loss(model, samples=2), optax.adam(1e-2), wrt=("encoder", "decoder")))
    state, step = init_state(update, networks, jax.random.key(1), batch), jax.jit(make_step(update))
    losses = []
    for _ in range(12):
        state, metrics = step(state, batch)
        losses.append(float(metrics["vae/negative_elbo"].total / metrics["vae/negative_elbo"].count))
    assert losses[-1] < losses[0]
    drawn = jax.jit(model.sampler())(state.networks, jax.random.split(jax.random.key(2), 5))
    assert drawn.shape == (5, 8, 12, channels)
    assert (jnp.abs(drawn) <= 1).all()


def test_the_terms_of_a_ladder_are_those_of_its_densities():
    model = families(1)["ladder"]
    networks = jax.tree.map(lambda leaf: leaf + 0.02, model.init(jax.random.key(0), BATCH))
    images = jnp.tile(BATCH["image"][:1], (2_000, 1, 1, 1))
    inferred = jax.jit(lambda n, c: model.infer(n, c, 1, train=False))(networks, context(images))
    assert inferred.kl.shape == (1, 2_000, 3)
    ratio = np.asarray(inferred.log_ratio[0])
    error = ratio.std() / np.sqrt(len(ratio))
    assert abs(ratio.mean() - float(inferred.kl.sum(-1).mean())) < 5 * error


def test_what_a_condition_says_reaches_both_networks():
    vae = families(1)["mlp"]._replace(condition=labels(4))
    networks = vae.init(jax.random.key(0), BATCH)
    other = {**BATCH, "label": BATCH["label"][::-1]}
    (one, _), _ = vae.encode(networks, BATCH, train=False)
    (two, _), _ = vae.encode(networks, other, train=False)
    assert jnp.abs(one - two).max() > 1e-3
    latent = jnp.zeros((4, 3))
    drawn = [vae.decode(networks, latent, *told(labels(4), batch), train=False)[0] for batch in (BATCH, other)]
    assert jnp.abs(drawn[0] - drawn[1]).max() > 1e-3
    value, _ = elbo_loss(vae, samples=2)(networks, Context(BATCH, jax.random.key(0), jnp.int32(0)))
    assert jnp.isfinite(value)
    assert interpolations(vae, networks, BATCH, columns=3).shape == (2, 3, *SPEC)


def test_pictures_of_the_latent_space():
    vae = families(1)["mlp"]
    networks = vae.init(jax.random.key(0), BATCH)
    rows = reconstructions(vae, networks, BATCH, columns=2)
    assert rows.shape == (4, 2, *SPEC)
    np.testing.assert_array_equal(rows[0], BATCH["image"][:2])
    np.testing.assert_array_equal(rows[2], BATCH["image"][2:])
    ways = interpolations(vae, networks, BATCH, columns=5)
    assert ways.shape == (2, 5, *SPEC)
    np.testing.assert_array_equal(ways[:, 0], rows[1])  # a way begins at a reconstruction
    assert latent_map(vae, networks, BATCH, side=4).shape == (4, 4, *SPEC)


def test_pictures_of_few_images_and_of_one_latent():
    vae, few = linear_vae(), {"image": IMAGES[:3]}
    networks = made(vae)
    assert reconstructions(vae, networks, few).shape == (2, 3, SIDE, SIDE, 1)
    assert interpolations(vae, networks, {"image": IMAGES[:1]}, columns=4).shape == (1, 4, SIDE, SIDE, 1)
    with pytest.raises(ValueError, match="a plane needs two"):
        latent_map(vae, networks, few)


@pytest.mark.parametrize(
    "options", [{"condition": labels(2), "prior": vamp_prior(2)}, {"condition": whole_images(SPEC)}]
)
def test_what_a_vae_cannot_be_told_is_refused(options):
    vae = VAE(MLPEncoder(2), MLPDecoder(SPEC), bernoulli(), 2, **options)
    with pytest.raises(ValueError, match="A VAE is told labels, features or words"):
        vae.init(jax.random.key(0), {"image": IMAGES, "label": jnp.zeros(6, int)})


def test_a_decoder_with_other_outputs_than_the_likelihood_takes_is_told():
    vae = VAE(MLPEncoder(2), MLPDecoder(SPEC), gaussian(), 2)._replace(likelihood=learned_gaussian())
    with pytest.raises(ValueError, match="gives 1 numbers a pixel; its likelihood takes 2"):
        jax.eval_shape(vae.init, jax.random.key(0), {"image": IMAGES})


@pytest.mark.parametrize("loss", [elbo_loss, importance_weighted_loss, doubly_reparameterized_loss])
def test_a_bound_of_no_samples_is_refused(loss):
    with pytest.raises(ValueError, match="0 samples were given"):
        loss(linear_vae(), samples=0)


def test_dropout_is_drawn_anew_in_each_step_and_not_outside_training():
    class Forgetful(nn.Module):
        @nn.compact
        def __call__(self, latent, *, train):
            hidden = Dropout(0.5)(nn.Dense(8)(latent), train=train)
            return nn.Dense(SIDE * SIDE)(hidden).reshape(-1, SIDE, SIDE, 1)

    vae = VAE(MLPEncoder(2, (4,)), Forgetful(), bernoulli(), 2)
    networks = made(vae)

    def likelihoods(train):
        return [float(vae.infer(networks, context(seed=s), train=train).log_likelihood.sum()) for s in (1, 1, 2)]

    one, again, other = likelihoods(train=True)
    assert one == again != other
    assert likelihoods(train=False)[0] != one


def test_a_vae_gan_is_a_chain_of_the_two_families():
    spec = ImageSpec(28, 28, 1)
    vae = VAE(MLPEncoder(3, (5,)), MLPDecoder(spec, (5,)), gaussian(), 3)
    gan = GAN(vae.decoder, DCGANDiscriminator(width=2, normalize=False), latent_size=3)
    batch = {"image": jax.random.randint(jax.random.key(9), (4, *spec), 0, 256).astype(jnp.uint8)}
    networks = vae.init(jax.random.key(0), batch)
    networks["discriminator"] = gan.init(jax.random.key(1))["discriminator"]
    adversarial = renamed(generator_loss(gan, non_saturating_generator), generator="decoder")
    update = chain(
        discriminator=minimize(
            renamed(discriminator_loss(gan, logistic_discriminator), generator="decoder"),
            optax.sgd(0.01),
            wrt="discriminator",
        ),
        vae=minimize(
            add(elbo=elbo_loss(vae), adversarial=scale(10.0, adversarial)), optax.sgd(0.01), wrt=("encoder", "decoder")
        ),
    )
    state = init_state(update, networks, jax.random.key(2), batch)
    after, _ = jax.jit(make_step(update))(state, batch)
    # By hand: the decoder's step is that of the sum, against the discriminator that has moved.
    moved = {**networks, "discriminator": after.networks["discriminator"]}
    key = jax.random.fold_in(state.key, 0)
    whole = add(elbo=elbo_loss(vae), adversarial=scale(10.0, adversarial))
    here = stream(Context(batch, key, jnp.int32(0)), "vae")
    gradient = jax.grad(lambda decoder: whole({**moved, "decoder": {"params": decoder}}, here)[0])(
        networks["decoder"]["params"]
    )
    expected = jax.tree.map(lambda p, g: p - 0.01 * g, networks["decoder"]["params"], gradient)
    chex.assert_trees_all_close(after.networks["decoder"]["params"], expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="decoder"):
        adversarial({"discriminator": networks["discriminator"]}, Context(batch, key, jnp.int32(0)))


@pytest.mark.agreement
def test_the_bound_and_its_gradients_are_those_of_pytorch(torch):
    spec = ImageSpec(4, 4, 1)
    vae = VAE(MLPEncoder(2, (6, 5)), MLPDecoder(spec, (6, 5)), bernoulli(), 2)
    images = (255 * jax.random.bernoulli(jax.random.key(3), shape=(7, *spec))).astype(jnp.uint8)
    with jax.enable_x64(True):
        networks = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), vae.init(jax.random.key(0), {"image": images}))
        here = Context({"image": images}, jax.random.key(1), jnp.int32(0))
        noise = np.asarray(jax.random.normal(here.key, (7, 1, 2)))[:, 0]
        value, gradient = jax.value_and_grad(lambda n: elbo_loss(vae)(n, here)[0])(networks)
    weights = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf, np.float64), requires_grad=True), networks)
    encoder, decoder = weights["encoder"]["params"], weights["decoder"]["params"]

    def dense(x, layer):
        return x @ layer["kernel"] + layer["bias"]

    white = torch.tensor(np.asarray(images).reshape(7, -1) / 255.0, dtype=torch.float64)
    hidden = torch.tanh(dense(torch.tanh(dense(white, encoder["Dense_0"])), encoder["Dense_1"]))
    mean, log_variance = dense(hidden, encoder["Dense_2"]), dense(hidden, encoder["Dense_3"])
    latent = mean + torch.exp(log_variance / 2) * torch.tensor(noise, dtype=torch.float64)
    hidden = torch.tanh(dense(torch.tanh(dense(latent, decoder["Dense_0"])), decoder["Dense_1"]))
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        dense(hidden, decoder["Dense_2"]), white, reduction="sum"
    )
    posterior = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    theirs = (cross_entropy + torch.distributions.kl_divergence(posterior, prior).sum()) / 7
    theirs.backward()
    np.testing.assert_allclose(value, theirs.item(), rtol=1e-6)
    for ours, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(weights), strict=True):
        np.testing.assert_allclose(ours, other.grad.numpy(), rtol=1e-4, atol=1e-6)
