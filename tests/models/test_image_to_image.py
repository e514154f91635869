"""Networks from image to image: their losses, what they restore, and a game with the GAN's pieces."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Context, ImageSpec, add, chain, ema, init_state, make_step, minimize, scale, to_float, to_uint8
from jaxgen.core.condition import features, labels
from jaxgen.export import ExportInfo, export_sampler, load_sampler, seeded
from jaxgen.losses import (
    absolute_error,
    bernoulli,
    categorical,
    logistic_discriminator,
    non_saturating_generator,
    squared_error,
)
from jaxgen.models import (
    ImageToImage,
    colourise,
    discriminator_loss,
    generator_loss,
    inpaint,
    likelihood_loss,
    r1_loss,
    random_block,
    restoration_loss,
    share_inputs,
    super_resolve,
    translation_game,
    translation_networks,
)
from jaxgen.nets import ClassicCNN, PatchDiscriminator, ResidualDecoder, UNet
from tests.models.programs import networks_like, trained

SPEC = ImageSpec(8, 12, 3)
BATCH = {
    "image": jax.random.randint(jax.random.key(9), (4, *SPEC), 0, 256).astype(jnp.uint8),
    "label": jnp.arange(4, dtype=jnp.int32),
    "features": jax.random.normal(jax.random.key(8), (4, 5)),
}
CONTEXT = Context(BATCH, jax.random.key(1), jnp.int32(0))
SMALL = {"width": 2, "levels": 1}


def made_for(model):
    return jax.jit(lambda key: model.init(key, SPEC))(jax.random.key(0))


class Level(nn.Module):
    """One number for all pixels of all images, whatever they are."""

    @nn.compact
    def __call__(self, *given, train):
        level = self.param("level", nn.initializers.constant(0.3), ())
        return jnp.broadcast_to(level, (len(given[0]), *SPEC))


def test_the_loss_is_the_distance_of_completed_images_from_the_truth():
    model = ImageToImage(Level(), inpaint(random_block()))
    networks = made_for(model)
    value, aux = jax.jit(restoration_loss(model, squared_error))(networks, CONTEXT)
    (inputs,) = model.inputs(CONTEXT)
    made = np.where(inputs[..., -1:] > 0, inputs[..., :-1], 0.3)
    truth = np.asarray(to_float(BATCH["image"]))
    errors = np.square(made - truth).mean((1, 2, 3))
    np.testing.assert_allclose(value, errors.mean(), rtol=1e-5)
    psnr = aux.metrics["psnr"]
    np.testing.assert_allclose(psnr.total / psnr.count, (10 * np.log10(4 / errors)).mean(), rtol=1e-5)


def test_cross_entropy_at_equal_logits_is_the_log_of_256_for_each_value():
    model = ImageToImage(UNet(3 * 256, **SMALL), super_resolve(2), categorical())
    networks = made_for(model)  # whose last layer is zero at first
    value, _ = jax.jit(likelihood_loss(model))(networks, CONTEXT)
    np.testing.assert_allclose(value, 8 * 12 * 3 * np.log(256), rtol=1e-4)  # a sum of hundreds in float32


def test_a_network_that_makes_nothing_gives_the_baseline_of_colours():
    model = ImageToImage(UNet(3, **SMALL), colourise())
    networks = made_for(model)
    (inputs,) = model.inputs(CONTEXT)
    restored = jax.jit(model.restore)(networks["generator"], inputs)
    np.testing.assert_allclose(restored, np.broadcast_to(inputs, restored.shape), atol=1e-6)


MODELS = {
    "unet": ImageToImage(UNet(3, **SMALL, dropout=0.2), inpaint(random_block()), conditions=labels(4)),
    "classic": ImageToImage(ClassicCNN(3, 2, 8), super_resolve(2), bernoulli()),
    "features": ImageToImage(ResidualDecoder(SPEC, 2, 1, 4), None, conditions=features(5)),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_trains_and_keeps_types(name):
    model = MODELS[name]
    loss = likelihood_loss(model) if name == "classic" else restoration_loss(model, squared_error)
    update = minimize(loss, optax.adam(1e-2), wrt="generator")
    batch = {**BATCH, "image": jnp.full_like(BATCH["image"], 220).at[:2, :4].set(30)}
    _, metrics = trained(update, lambda: model.init(jax.random.key(0), SPEC), jax.random.key(1), batch, steps=25)
    losses = metrics["loss"].total
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_features_alone_become_an_image():
    model = MODELS["features"]
    networks = made_for(model)
    keys = jax.random.split(jax.random.key(0), 4)
    made = np.asarray(jax.jit(model.sampler())(networks, keys, features=BATCH["features"]))
    np.testing.assert_array_equal(made, jax.jit(model.restore)(networks["generator"], BATCH["features"]))
    assert made.shape == BATCH["image"].shape
    assert np.abs(made[0] - made[1]).max() > 1e-3


def test_dropout_follows_the_key_of_the_step_and_rests_afterwards():
    model = ImageToImage(ClassicCNN(3, 2, 8), super_resolve(2))
    networks = made_for(model)
    make = jax.jit(model.restore_batch)
    contexts = CONTEXT, CONTEXT, CONTEXT._replace(key=jax.random.key(2))
    one, again, other = (np.asarray(make(networks, context).images) for context in contexts)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3
    (inputs,) = model.inputs(CONTEXT)
    assert np.abs(np.asarray(jax.jit(model.restore)(networks["generator"], inputs)) - one).max() > 1e-3


def test_an_exported_network_restores_images(tmp_path):
    model = ImageToImage(UNet(3, **SMALL), inpaint(random_block()))
    networks = made_for(model)
    sampler = model.sampler(SPEC)
    export_sampler(sampler)(tmp_path, networks, ExportInfo(SPEC, sampler.conditions, None))
    truth = np.asarray(BATCH["image"])
    restored = load_sampler(tmp_path).draw(7, 4, fields={"image": truth})
    live = jax.jit(seeded(sampler, networks))(jnp.uint32(7), jnp.arange(4, dtype=jnp.int32), {"image": BATCH["image"]})
    assert np.abs(restored.astype(int) - live).max() <= 1
    assert 0.5 < (restored == truth).mean() < 1


def pix2pix(model, gan, weight=100.0):
    descent = optax.sgd(0.01)
    return share_inputs(
        model,
        gan,
        chain(
            discriminator=minimize(
                add(adversarial=discriminator_loss(gan, logistic_discriminator), r1=r1_loss(gan, gamma=1.0)),
                descent,
                wrt="discriminator",
            ),
            generator=minimize(
                add(
                    adversarial=generator_loss(gan, non_saturating_generator),
                    near=scale(weight, restoration_loss(model, absolute_error)),
                ),
                descent,
                wrt="generator",
            ),
            average=ema("generator", into="generator_ema", decay=0.9),
        ),
    )


def test_pix2pix_is_a_chain_of_the_two_families():
    model = ImageToImage(UNet(3, **SMALL), inpaint(random_block()))
    gan = translation_game(model, PatchDiscriminator(2, 1))
    truth = to_float(BATCH["image"])
    networks = networks_like(lambda: translation_networks(model, gan, jax.random.key(1), SPEC))
    update, key = pix2pix(model, gan), jax.random.key(2)
    after, metrics = jax.jit(lambda networks: make_step(update)(init_state(update, networks, key), BATCH))(networks)
    # By hand, equation (4) at the inputs of the step, the discriminator first.
    step_inputs = model.inputs(Context(BATCH, jax.random.fold_in(key, 0), jnp.int32(0)))[0]

    def logits(discriminator, made):
        return gan.discriminator.apply(discriminator, made, step_inputs, train=False)

    @jax.jit
    def both_logits(networks):
        made = model.restore(networks["generator"], step_inputs)
        return [logits(networks["discriminator"], images) for images in (truth, made)]

    real_logits, fake_logits = jax.device_get(both_logits(networks))
    expected = np.mean(np.logaddexp(0, -real_logits) + np.logaddexp(0, fake_logits))
    measured = metrics["discriminator/adversarial"]
    np.testing.assert_allclose(measured.total / measured.count, expected, rtol=1e-5)

    def objective(generator):
        made = model.restore(generator, step_inputs)
        adversarial = jax.nn.softplus(-logits(after.networks["discriminator"], made)).mean()
        return adversarial + 100 * jnp.abs(made - truth).mean()

    gradient = jax.jit(jax.grad(objective))(networks["generator"])
    by_hand = jax.tree.map(lambda p, g: p - 0.01 * g, networks["generator"], gradient)
    chex.assert_trees_all_close(after.networks["generator"], by_hand, rtol=1e-4, atol=1e-5)
    assert "generator_ema" in after.networks


def test_a_game_of_no_task_and_a_network_of_other_outputs_are_refused():
    with pytest.raises(ValueError, match="without a task"):
        translation_game(ImageToImage(Level(), None), PatchDiscriminator(2, 1))
    model = ImageToImage(UNet(1, **SMALL), inpaint(random_block()))
    with pytest.raises(ValueError, match="has 1 outputs per pixel; its likelihood has 3 parameters"):
        jax.eval_shape(lambda key: model.init(key, SPEC), jax.random.key(0))


def test_a_discriminator_of_inputs_tells_which_image_goes_with_which():
    model = ImageToImage(Level(), super_resolve(2))
    gan = translation_game(model, PatchDiscriminator(2, 1))
    (inputs,) = model.inputs(CONTEXT)
    variables = networks_like(lambda: gan.discriminator.init(jax.random.key(1), inputs, inputs, train=False))
    logits = jax.jit(lambda inputs: gan.discriminator.apply(variables, to_float(BATCH["image"]), inputs, train=False))
    own, swapped = (np.asarray(logits(beside)) for beside in (inputs, inputs[::-1]))
    assert np.abs(own - swapped).max() > 1e-4


def test_uint8_images_survive_a_task_and_back():
    model = ImageToImage(Level(), super_resolve(2))
    restored = model.task.complete(model.inputs(CONTEXT)[0], to_float(BATCH["image"]))
    np.testing.assert_array_equal(to_uint8(restored), BATCH["image"])
