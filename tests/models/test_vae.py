"""Variational autoencoders of every network: what trains, what a condition says, and pictures of the latents."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Context, ImageSpec, add, chain, init_state, make_step, minimize, renamed, scale
from jaxgen.core.condition import images as whole_images
from jaxgen.core.condition import labels, told
from jaxgen.core.objective import stream
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
    vamp_prior,
)
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
from tests.models.linear_vae import IMAGES, SIDE, context, linear_vae, made
from tests.models.programs import networks_like, trained
from tests.programs import float64

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


@pytest.mark.parametrize(("name", "channels"), [("mlp", 1), ("conv", 3), ("residual", 1), ("ladder", 3)])
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
    update = chain(vae=minimize(elbo_loss(model, samples=2), optax.adam(1e-2), wrt=("encoder", "decoder")))
    state, metrics = trained(update, lambda: model.init(jax.random.key(0), batch), jax.random.key(1), batch, steps=12)
    losses = np.asarray(metrics["vae/negative_elbo"].total / metrics["vae/negative_elbo"].count)
    assert losses[-1] < losses[0]

    def used(networks, keys):
        return model.sampler()(networks, keys), model.reconstruct(networks, batch)

    drawn, reconstructed = jax.jit(used)(state.networks, jax.random.split(jax.random.key(2), 5))
    assert (drawn.shape, reconstructed.shape) == ((5, 8, 12, channels), (4, 8, 12, channels))
    assert (np.abs(drawn) <= 1).all()


def test_the_terms_of_a_ladder_are_those_of_its_densities():
    model = families(1)["ladder"]
    images = np.tile(BATCH["image"][:1], (2_000, 1, 1, 1))

    @jax.jit
    def infer(context):
        networks = jax.tree.map(lambda leaf: leaf + 0.02, model.init(jax.random.key(0), BATCH))
        return model.infer(networks, context, 1, train=False)

    inferred = infer(context(images))
    assert inferred.kl.shape == (1, 2_000, 3)
    ratio = np.asarray(inferred.log_ratio[0])
    error = ratio.std() / np.sqrt(len(ratio))
    assert abs(ratio.mean() - np.asarray(inferred.kl).sum(-1).mean()) < 5 * error


def test_what_a_condition_says_reaches_both_networks():
    vae = families(1)["mlp"]._replace(conditions=labels(4))
    other = {**BATCH, "label": BATCH["label"][::-1]}

    @jax.jit
    def use(key, batch):
        networks = vae.init(key, batch)
        (mean, _), _ = vae.encode(networks, batch, train=False)
        drawn, _ = vae.decode(networks, jnp.zeros((4, 3)), *told(labels(4), batch), train=False)
        value, _ = elbo_loss(vae, samples=2)(networks, Context(batch, key, jnp.int32(0)))
        return mean, drawn, value, interpolations(vae, networks, batch, columns=3)

    one, two = (jax.device_get(use(jax.random.key(0), batch)) for batch in (BATCH, other))
    assert np.abs(one[0] - two[0]).max() > 1e-3
    assert np.abs(one[1] - two[1]).max() > 1e-3
    assert np.isfinite(one[2])
    assert one[3].shape == (2, 3, *SPEC)


def test_pictures_of_the_latent_space():
    vae = families(1)["mlp"]

    @jax.jit
    def pictures(key, batch):
        networks = vae.init(key, batch)
        return (
            reconstructions(vae, networks, batch, columns=2),
            interpolations(vae, networks, batch, columns=5),
            latent_map(vae, networks, batch, side=4),
        )

    rows, interpolations, plane = jax.device_get(pictures(jax.random.key(0), BATCH))
    assert rows.shape == (4, 2, *SPEC)
    np.testing.assert_array_equal(rows[0], BATCH["image"][:2])
    np.testing.assert_array_equal(rows[2], BATCH["image"][2:])
    assert interpolations.shape == (2, 5, *SPEC)
    np.testing.assert_array_equal(interpolations[:, 0], rows[1])  # a way begins at a reconstruction
    assert plane.shape == (4, 4, *SPEC)


def test_pictures_of_few_images_and_of_one_latent():
    vae, few = linear_vae(), {"image": IMAGES[:3]}
    networks = made(vae)
    rows = jax.jit(lambda networks, batch: reconstructions(vae, networks, batch))(networks, few)
    assert rows.shape == (2, 3, SIDE, SIDE, 1)
    interpolations = jax.jit(lambda networks, batch: interpolations(vae, networks, batch, columns=4))
    assert interpolations(networks, {"image": IMAGES[:1]}).shape == (1, 4, SIDE, SIDE, 1)
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
        infer = jax.jit(lambda networks, context: vae.infer(networks, context, train=train).log_likelihood.sum())
        return [float(infer(networks, context(seed=seed))) for seed in (1, 1, 2)]

    one, again, other = likelihoods(train=True)
    assert one == again != other
    assert likelihoods(train=False)[0] != one


def test_a_vae_gan_is_a_chain_of_the_two_families():
    spec = ImageSpec(28, 28, 1)
    vae = VAE(MLPEncoder(3, (5,)), MLPDecoder(spec, (5,)), gaussian(), 3)
    gan = GAN(vae.decoder, DCGANDiscriminator(width=2, normalize=False), latent_size=3)
    batch = {"image": jax.random.randint(jax.random.key(9), (4, *spec), 0, 256).astype(jnp.uint8)}
    key = jax.random.key(0)
    networks = networks_like(lambda: {**gan.init(key, SPEC), **vae.init(key, batch)}, scale=0.1)
    del networks["generator"]
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
    key = jax.random.key(2)
    after = jax.jit(lambda networks: make_step(update)(init_state(update, networks, key), batch)[0])(networks)
    # By hand: the decoder's step is that of the sum, against the discriminator that has moved.
    moved = {**networks, "discriminator": after.networks["discriminator"]}
    key = jax.random.fold_in(key, 0)
    whole = add(elbo=elbo_loss(vae), adversarial=scale(10.0, adversarial))
    here = stream(Context(batch, key, jnp.int32(0)), "vae")
    gradient = jax.jit(jax.grad(lambda decoder: whole({**moved, "decoder": {"params": decoder}}, here)[0]))(
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
    with float64():
        networks = networks_like(lambda: vae.init(jax.random.key(0), {"image": images}))
        networks = jax.tree.map(lambda leaf: leaf.astype(np.float64), networks)
        here = Context({"image": images}, jax.random.key(1), jnp.int32(0))
        noise = np.asarray(jax.random.normal(here.key, (7, 1, 2)))[:, 0]
        value, gradient = jax.jit(jax.value_and_grad(lambda n: elbo_loss(vae)(n, here)[0]))(networks)
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
