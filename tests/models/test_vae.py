"""Variational autoencoders of every network: what trains, what a condition says, and pictures of the latents."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Context, ImageSpec, add, chain, init_state, make_step, minimize, scale
from jaxgen.core.condition import conditioning, labels, text
from jaxgen.core.condition import images as whole_images
from jaxgen.core.objective import share, stream
from jaxgen.losses import (
    bernoulli,
    gaussian,
    gaussian_log_density,
    learned_gaussian,
    logistic_discriminator,
    non_saturating_generator,
)
from jaxgen.models import (
    GAN,
    VAE,
    LadderVAE,
    diagonal_gaussian,
    discriminator_loss,
    doubly_reparameterized_loss,
    elbo_loss,
    generator_loss,
    image_interpolations,
    importance_weighted_loss,
    latent_map,
    reconstructions,
    share_images,
    total_correlation_loss,
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
    TextEncoder,
    WithText,
)
from tests.models.linear_vae import IMAGES, SIDE, context, linear_vae, made
from tests.models.programs import FixedLatents, networks_like, trained
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
        networks = model.init(key, ImageSpec(8, 12, channels))
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
    state, metrics = trained(
        update,
        lambda: model.init(jax.random.key(0), SPEC._replace(channels=channels)),
        jax.random.key(1),
        batch,
        steps=12,
    )
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
        networks = jax.tree.map(lambda leaf: leaf + 0.02, model.init(jax.random.key(0), SPEC))
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
        networks = vae.init(key, SPEC)
        (mean, _), _ = vae.encode(networks, batch, train=False)
        drawn, _ = vae.decode(networks, jnp.zeros((4, 3)), *conditioning(labels(4), batch), train=False)
        value, _ = elbo_loss(vae, samples=2)(networks, Context(batch, key, jnp.int32(0)))
        return mean, drawn, value, image_interpolations(vae, networks, batch, columns=3)

    one, two = (jax.device_get(use(jax.random.key(0), batch)) for batch in (BATCH, other))
    assert np.abs(one[0] - two[0]).max() > 1e-3
    assert np.abs(one[1] - two[1]).max() > 1e-3
    assert np.isfinite(one[2])
    assert one[3].shape == (2, 3, *SPEC)


def test_pictures_of_the_latent_space():
    vae = families(1)["mlp"]

    @jax.jit
    def pictures(key, batch):
        networks = vae.init(key, SPEC)
        return (
            reconstructions(vae, networks, batch, columns=2),
            image_interpolations(vae, networks, batch, columns=5),
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
    interpolations = jax.jit(lambda networks, batch: image_interpolations(vae, networks, batch, columns=4))
    assert interpolations(networks, {"image": IMAGES[:1]}).shape == (1, 4, SIDE, SIDE, 1)
    with pytest.raises(ValueError, match="a plane needs two"):
        latent_map(vae, networks, few)


@pytest.mark.parametrize(
    "options", [{"conditions": labels(2), "prior": vamp_prior(2)}, {"conditions": whole_images(SPEC)}]
)
def test_conditions_that_a_vae_cannot_have_are_refused(options):
    vae = VAE(MLPEncoder(2), MLPDecoder(SPEC), bernoulli(), 2, **options)
    with pytest.raises(ValueError, match="A VAE's conditions are labels, features or text"):
        vae.init(jax.random.key(0), SPEC)


def test_a_decoder_with_other_outputs_than_the_likelihood_takes_is_refused():
    vae = VAE(MLPEncoder(2), MLPDecoder(SPEC), gaussian(), 2)._replace(likelihood=learned_gaussian())
    with pytest.raises(ValueError, match="has 1 outputs per pixel; its likelihood has 2 parameters"):
        jax.eval_shape(lambda key: vae.init(key, SPEC), jax.random.key(0))


@pytest.mark.parametrize("loss", [elbo_loss, importance_weighted_loss, doubly_reparameterized_loss])
def test_a_bound_of_no_samples_is_refused(loss):
    with pytest.raises(ValueError, match="0 samples were given"):
        loss(linear_vae(), samples=0)


class ForgetfulEncoder(nn.Module):
    @nn.compact
    def __call__(self, image, *, train):
        hidden = Dropout(0.5)(nn.Dense(8)(image.reshape(len(image), -1)), train=train)
        return nn.Dense(2)(hidden), nn.Dense(2)(hidden)


class ForgetfulDecoder(nn.Module):
    @nn.compact
    def __call__(self, latent, *, train):
        hidden = Dropout(0.5)(nn.Dense(8)(latent), train=train)
        return nn.Dense(SIDE * SIDE)(hidden).reshape(-1, SIDE, SIDE, 1)


def test_dropout_is_drawn_anew_in_each_step_of_every_loss_and_not_outside_training():
    vae = VAE(ForgetfulEncoder(), ForgetfulDecoder(), bernoulli(), 2)
    networks = made(vae)
    losses = [
        elbo_loss(vae),
        importance_weighted_loss(vae, samples=3),
        importance_weighted_loss(vae, samples=3, backward=1),
        doubly_reparameterized_loss(vae, samples=3),
        total_correlation_loss(vae, beta=2.0, dataset_size=6),
    ]

    @jax.jit
    def values(networks, context):
        return jnp.stack([loss(networks, context)[0] for loss in losses])

    one, again, other = (np.asarray(values(networks, context(seed=seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()
    infer = jax.jit(lambda networks, context, train: vae.infer(networks, context, train=train), static_argnums=2)
    training, evaluation = (infer(networks, context(), train).log_likelihood for train in (True, False))
    assert (training != evaluation).all()


def test_a_posterior_is_a_value():
    """Of unit variance about the encoder's mean: KL = |m|^2 / 2."""
    unit = diagonal_gaussian()._replace(
        sample=lambda params, noise: params[0] + noise,
        log_prob=lambda params, latent: gaussian_log_density(latent, params[0]),
        kl=lambda params: jnp.square(params[0]) / 2,
    )
    vae = linear_vae(error=0.3)._replace(posterior=unit)
    networks = made(vae)

    @jax.jit
    def use(networks, context):
        mean = vae.encode(networks, context.batch, train=False)[0][0]
        inferred = vae.infer(networks, context, 2)
        return elbo_loss(vae, samples=2)(networks, context)[0], mean, inferred

    value, mean, inferred = jax.device_get(use(networks, context()))
    expected = np.square(mean).sum(-1).mean() / 2 - inferred.log_likelihood.mean()
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_label_and_text_condition_a_vae_together():
    encoder, decoder = families(1)["mlp"][:2]
    words = TextEncoder(8, 4, heads=1)
    vae = VAE(WithText(encoder, words), WithText(decoder, words), bernoulli(), 3, conditions=labels(4) | text(2))
    batch = {**BATCH, "text": jnp.array([[1, 0], [2, 3], [4, 0], [5, 6]])}
    networks = networks_like(lambda: vae.init(jax.random.key(0), SPEC))
    sample = jax.jit(vae.sampler())
    keys = jax.random.split(jax.random.key(1), 4)

    def drawn(**fields):
        return sample(networks, keys, **{"label": batch["label"], "text": batch["text"], **fields})

    plain = drawn()
    assert (plain != drawn(label=batch["label"][::-1])).any()
    assert (plain != drawn(text=batch["text"][::-1])).any()
    value, _ = jax.jit(elbo_loss(vae))(networks, Context(batch, jax.random.key(0), jnp.int32(0)))
    assert np.isfinite(value)
    with pytest.raises(TypeError, match="given the fields 'label'; its conditions are: 'label', 'text'"):
        vae.sampler()(networks, keys, label=batch["label"])


def test_a_vae_gan_is_a_chain_of_the_two_families_that_shares_its_images():
    spec = ImageSpec(28, 28, 1)
    vae = VAE(MLPEncoder(3, (5,)), MLPDecoder(spec, (5,)), gaussian(), 3)
    discriminator = DCGANDiscriminator(width=2, normalize=False)
    gan = GAN(vae.decoder, discriminator, latent_size=3, generator_name="decoder")
    batch = {"image": jax.random.randint(jax.random.key(9), (4, *spec), 0, 256).astype(jnp.uint8)}
    key = jax.random.key(0)
    networks = networks_like(lambda: {**gan.init(key, spec), **vae.init(key, spec)}, scale=0.1)
    assert set(networks) == {"encoder", "decoder", "discriminator"}
    adversarial = generator_loss(gan, non_saturating_generator)
    whole = add(elbo=elbo_loss(vae), adversarial=scale(10.0, adversarial))
    game = minimize(discriminator_loss(gan, logistic_discriminator), optax.sgd(0.01), wrt="discriminator")
    update = chain(discriminator=game, vae=minimize(whole, optax.sgd(0.01), wrt=("encoder", "decoder")))
    key = jax.random.key(2)

    def stepped(update):
        return jax.jit(lambda networks: make_step(update)(init_state(update, networks, key), batch)[0])(networks)

    def by_hand(discriminator, of):
        """The decoder's step is that of the sum, against the discriminator that has moved."""
        moved = {**networks, "discriminator": discriminator}
        gradient = jax.grad(lambda params: whole({**moved, "decoder": {"params": params}}, of)[0])(
            networks["decoder"]["params"]
        )
        return jax.tree.map(lambda p, g: p - 0.01 * g, networks["decoder"]["params"], gradient)

    here = Context(batch, jax.random.fold_in(key, 0), jnp.int32(0))
    fixed = FixedLatents(gan, gan.latents(stream(here, "images")))
    decoders = []
    for link, of in ((update, here), (share_images(gan, update), share(here, gan.drawing, fixed))):
        after = stepped(link).networks
        decoders.append(after["decoder"]["params"])
        expected = jax.jit(partial(by_hand, of=stream(of, "vae")))(after["discriminator"])
        chex.assert_trees_all_close(decoders[-1], expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(AssertionError):  # shared images are other draws
        chex.assert_trees_all_close(*decoders, rtol=1e-4, atol=1e-6)


@pytest.mark.agreement
def test_the_bound_and_its_gradients_are_those_of_pytorch(torch):
    spec = ImageSpec(4, 4, 1)
    vae = VAE(MLPEncoder(2, (6, 5)), MLPDecoder(spec, (6, 5)), bernoulli(), 2)
    images = (255 * jax.random.bernoulli(jax.random.key(3), shape=(7, *spec))).astype(jnp.uint8)
    with float64():
        networks = networks_like(lambda: vae.init(jax.random.key(0), spec))
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
