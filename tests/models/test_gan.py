import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import (
    Aux,
    Context,
    ImageSpec,
    add,
    chain,
    init_state,
    lazily,
    make_step,
    mean,
    minimize,
    simultaneous,
    to_float,
    to_uint8,
)
from jaxgen.losses import logistic_discriminator, non_saturating_generator
from jaxgen.models import (
    GAN,
    adversarial_game,
    discriminator_loss,
    generator_loss,
    r1_loss,
    r2_loss,
    share,
    share_images,
    translate,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, forward
from tests.models.programs import FixedLatents

SPEC = ImageSpec(28, 28, 1)
BATCH = {"image": jax.random.randint(jax.random.key(9), (6, *SPEC), 0, 256).astype(jnp.uint8)}
CONTEXT = Context(BATCH, key=jax.random.key(2), step=jnp.int32(0))


def make_gan(*, normalize):
    options = {"width": 2, "kernel_init": jax.nn.initializers.he_normal()}
    discriminator = DCGANDiscriminator(normalize=normalize, **options)
    return GAN(DCGANGenerator(SPEC, **options), discriminator, latent_size=3)


@pytest.mark.parametrize("normalize", [True, False])
def test_the_game_is_the_two_losses_on_shared_images(normalize):
    gan = make_gan(normalize=normalize)
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
    losses, aux = adversarial_game(gan, logistic_discriminator, non_saturating_generator)(networks, CONTEXT)
    alone, alone_aux = discriminator_loss(gan, logistic_discriminator)(networks, CONTEXT)
    np.testing.assert_allclose(losses["discriminator"], alone, rtol=1e-6)
    chex.assert_trees_all_close(aux.changes["discriminator"], alone_aux.changes["discriminator"])
    against, against_aux = generator_loss(gan, non_saturating_generator)(networks, CONTEXT)
    np.testing.assert_allclose(losses["generator"], against, rtol=1e-6)
    chex.assert_trees_all_close(aux.changes["generator"], against_aux.changes["generator"])


@pytest.mark.parametrize("normalize", [True, False])
def test_real_and_fake_images_are_batches_of_their_own(normalize):
    gan = make_gan(normalize=normalize)
    variables = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))["discriminator"]
    real, fake = to_float(BATCH["image"]), -0.5 * to_float(BATCH["image"])
    *logits, changes = gan.logits({"discriminator": variables}, CONTEXT, real, fake)
    after_real, after_both = variables, variables
    for ours, images in zip(logits, (real, fake), strict=True):
        np.testing.assert_allclose(ours, forward(gan.discriminator, variables, images, train=True)[0], atol=1e-5)
        after_real, after_both = (
            after_both,
            {
                **after_both,
                **forward(gan.discriminator, after_both, images, train=True)[1],
            },
        )
    chex.assert_trees_all_close({**after_real, **changes}, after_both, rtol=1e-5)


def turns(gan):
    """Both players by gradient descent, in turn, with a lazy penalty at generated images."""
    d = add(game=discriminator_loss(gan, logistic_discriminator), r2=lazily(2, r2_loss(gan, gamma=1.0, one_in=2)))
    return chain(
        d=minimize(d, optax.sgd(0.1), wrt="discriminator"),
        g=minimize(generator_loss(gan, non_saturating_generator), optax.sgd(0.1), wrt="generator"),
    )


def players(gan):
    """Both players by gradient descent, in turn, without penalties."""
    d = minimize(discriminator_loss(gan, logistic_discriminator), optax.sgd(0.1), wrt="discriminator")
    return chain(d=d, g=minimize(generator_loss(gan, non_saturating_generator), optax.sgd(0.1), wrt="generator"))


def with_latents(gan, update):
    fixed = FixedLatents(gan, jax.random.normal(jax.random.key(2), (6, 3)))

    def shared(networks, opt_state, context):
        return update.update(networks, opt_state, share(context, gan.drawing, fixed))

    return update._replace(update=shared)


def test_two_gans_in_one_chain_do_not_share_their_images():
    one = make_gan(normalize=False)
    other = make_gan(normalize=False)._replace(generator_name="painter", discriminator_name="critic")

    def brightness(gan):
        def loss(networks, context):
            images, _ = gan.draw(networks, context)
            return images.mean(), Aux({"pixel": mean(images)})

        return loss

    still = optax.sgd(0.0)
    update = chain(
        one=minimize(brightness(one), still, wrt="generator"),
        again=minimize(brightness(one._replace(augment=translate)), still, wrt="discriminator"),
        other=minimize(brightness(other), still, wrt="painter"),
    )

    @jax.jit
    def pixels(key):
        networks = {**one.init(key, SPEC), **other.init(jax.random.fold_in(key, 1), SPEC)}
        state = init_state(update, networks, key)
        return [make_step(link)(state, BATCH)[1] for link in (share_images(one, update), update)]

    shared, separate = ({name: float(value.total) for name, value in m.items()} for m in pixels(jax.random.key(0)))
    assert shared["one/pixel"] == shared["again/pixel"] != separate["again/pixel"]
    assert shared["other/pixel"] == pytest.approx(separate["other/pixel"], rel=1e-4)
    assert shared["other/pixel"] != pytest.approx(shared["one/pixel"], rel=1e-2)


def test_sharing_images_changes_nothing_but_the_draw():
    gan = make_gan(normalize=True)
    update = turns(gan)
    state = init_state(update, jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0)), jax.random.key(1))
    shared, separate = (
        jax.jit(make_step(with_latents(gan, link)))(state, BATCH) for link in (share_images(gan, update), update)
    )
    chex.assert_trees_all_close((shared[0].networks, shared[1]), (separate[0].networks, separate[1]), rtol=1e-5)


def test_sharing_images_saves_a_forward_pass_of_the_generator():
    gan = make_gan(normalize=True)
    state = init_state(players(gan), jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0)), jax.random.key(1))

    def operations(function, *arguments):
        return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]

    separate, shared = (
        operations(make_step(link), state, BATCH) for link in (players(gan), share_images(gan, players(gan)))
    )
    once = operations(lambda v: gan.draw({"generator": v}, CONTEXT)[0], state.networks["generator"])
    assert separate - shared == pytest.approx(once, rel=0.1)


def test_the_r1_loss_looks_at_one_in_so_many_images_alone():
    gan = make_gan(normalize=False)
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
    value, _ = r1_loss(gan, gamma=2.0, one_in=2)(networks, CONTEXT)
    half = CONTEXT._replace(batch={"image": BATCH["image"][::2]})
    np.testing.assert_allclose(value, 2 * r1_loss(gan, gamma=1.0)(networks, half)[0], rtol=1e-5)
    assert value > 0


def test_the_r2_loss_is_r1_at_generated_images():
    gan = make_gan(normalize=False)
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
    drawn = CONTEXT._replace(batch={"image": to_uint8(gan.draw(networks, CONTEXT)[0][::2])})
    expected, _ = r1_loss(gan, gamma=2.0)(networks, drawn)
    value, _ = r2_loss(gan, gamma=2.0, one_in=2)(networks, CONTEXT)
    np.testing.assert_allclose(value, expected, rtol=1e-2)  # the images went through 256 levels


def test_a_sample_depends_on_its_own_key_alone():
    gan = make_gan(normalize=False)
    networks, sample = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0)), gan.sampler()
    keys = jax.random.split(jax.random.key(1), 5)
    images = sample(networks, keys)
    assert images.shape == (5, *SPEC)
    np.testing.assert_allclose(sample(networks, keys[3:4])[0], images[3], atol=1e-6)


def test_the_discriminator_learns_to_tell_and_the_generator_to_pass():
    gan = make_gan(normalize=False)
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
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
    state = init_state(update, jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0)), jax.random.key(1), BATCH)
    after, _ = jax.eval_shape(make_step(update), state, BATCH)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
