import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Context, ImageSpec, chain, init_state, make_step, minimize, simultaneous, to_float, to_uint8
from jaxgen.losses import logistic_discriminator, non_saturating_generator
from jaxgen.models import GAN, adversarial_game, discriminator_loss, generator_loss, r1_loss, r2_loss
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, forward

SPEC = ImageSpec(28, 28, 1)
BATCH = {"image": jax.random.randint(jax.random.key(9), (6, *SPEC), 0, 256).astype(jnp.uint8)}
CONTEXT = Context(BATCH, key=jax.random.key(2), step=jnp.int32(0))


def make_gan(*, normalize):
    options = {"width": 2, "kernel_init": jax.nn.initializers.he_normal()}
    discriminator = DCGANDiscriminator(normalize=normalize, **options)
    return GAN(DCGANGenerator(SPEC, **options), discriminator, latent_size=3, mix_batches=not normalize)


@pytest.mark.parametrize("normalize", [True, False])
def test_the_game_is_the_two_losses_on_shared_images(normalize):
    gan = make_gan(normalize=normalize)
    networks = gan.init(jax.random.key(0))
    losses, aux = adversarial_game(gan, logistic_discriminator, non_saturating_generator)(networks, CONTEXT)
    alone, alone_aux = discriminator_loss(gan, logistic_discriminator)(networks, CONTEXT)
    np.testing.assert_allclose(losses["discriminator"], alone, rtol=1e-6)
    chex.assert_trees_all_close(aux.changes["discriminator"], alone_aux.changes["discriminator"])
    against, against_aux = generator_loss(gan, non_saturating_generator)(networks, CONTEXT)
    np.testing.assert_allclose(losses["generator"], against, rtol=1e-6)
    chex.assert_trees_all_close(aux.changes["generator"], against_aux.changes["generator"])


def test_without_batchnorm_one_batch_of_both_kinds_gives_the_logits_of_two():
    gan = make_gan(normalize=False)
    variables = gan.init(jax.random.key(0))["discriminator"]
    real, fake = to_float(BATCH["image"]), -to_float(BATCH["image"])
    real_logits, fake_logits, changes = gan.judge(variables, real, fake)
    for logits, images in [(real_logits, real), (fake_logits, fake)]:
        np.testing.assert_allclose(logits, forward(gan.discriminator, variables, images, train=True)[0], atol=1e-6)
    assert not changes


def test_with_batchnorm_each_kind_is_normalised_by_itself():
    gan = make_gan(normalize=True)
    variables = gan.init(jax.random.key(0))["discriminator"]
    real, fake = to_float(BATCH["image"]), -to_float(BATCH["image"])
    real_logits, _, _ = gan.judge(variables, real, fake)
    same_logits, _, _ = gan.judge(variables, real, 0 * fake)
    np.testing.assert_array_equal(real_logits, same_logits)


def test_the_r1_loss_looks_at_its_share_of_the_batch_alone():
    gan = make_gan(normalize=False)
    networks = gan.init(jax.random.key(0))
    value, _ = r1_loss(gan, gamma=2.0, share=0.5)(networks, CONTEXT)
    half = CONTEXT._replace(batch={"image": BATCH["image"][:3]})
    np.testing.assert_allclose(value, 2 * r1_loss(gan, gamma=1.0)(networks, half)[0], rtol=1e-5)
    assert value > 0


def test_the_r2_loss_is_r1_at_generated_images():
    gan = make_gan(normalize=False)
    networks = gan.init(jax.random.key(0))
    fake, _ = gan.generate(networks["generator"], gan.latents(CONTEXT.key, 3), train=True)
    drawn = CONTEXT._replace(batch={"image": to_uint8(fake)})
    expected, _ = r1_loss(gan, gamma=2.0)(networks, drawn)
    value, _ = r2_loss(gan, gamma=2.0, share=0.5)(networks, CONTEXT)
    np.testing.assert_allclose(value, expected, rtol=1e-2)  # the images went through 256 levels


def test_a_sample_depends_on_its_own_key_alone():
    gan = make_gan(normalize=False)
    networks, sample = gan.init(jax.random.key(0)), gan.sampler("generator")
    keys = jax.random.split(jax.random.key(1), 5)
    images = sample(networks, keys)
    assert images.shape == (5, *SPEC)
    np.testing.assert_allclose(sample(networks, keys[3:4])[0], images[3], atol=1e-6)


def test_the_discriminator_learns_to_tell_and_the_generator_to_pass():
    gan = make_gan(normalize=False)
    networks = gan.init(jax.random.key(0))
    d = minimize(discriminator_loss(gan, logistic_discriminator), optax.adam(1e-2), wrt="discriminator")
    g = minimize(generator_loss(gan, non_saturating_generator), optax.adam(1e-2), wrt="generator")
    for name, update in [("d/loss", chain(d=d)), ("g/loss", chain(g=g))]:
        state, step = init_state(update, networks, jax.random.key(1), BATCH), jax.jit(make_step(update))
        state, first = step(state, BATCH)
        for _ in range(20):
            state, last = step(state, BATCH)
        assert last[name].total < 0.9 * first[name].total


def test_descending_at_once_keeps_the_types_of_the_state():
    gan = make_gan(normalize=True)
    game = adversarial_game(gan, logistic_discriminator, non_saturating_generator)
    update = simultaneous(game, {"discriminator": optax.adam(1e-3), "generator": optax.adam(1e-3)})
    state = init_state(update, gan.init(jax.random.key(0)), jax.random.key(1), BATCH)
    after, _ = jax.eval_shape(make_step(update), state, BATCH)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
