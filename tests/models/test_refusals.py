"""What models refuse: when they are built, when they are initialised, or when a loss is traced."""

import jax
import jax.numpy as jnp
import optax
import pytest

from jaxgen import Context, ImageSpec, minimize
from jaxgen.losses import bernoulli, logistic_discriminator, non_saturating_generator
from jaxgen.models import (
    GAN,
    ImageToImage,
    PixelCNN,
    colourise,
    discriminator_loss,
    draw_naively,
    generator_loss,
    guided,
    labels,
    mismatched_loss,
    share_inputs,
    translation_game,
    translation_networks,
)
from jaxgen.models.diffusion import (
    churn,
    clean,
    heun,
    karras,
    karras_weight,
    log_normal_times,
    logit_normal_times,
    min_snr_weight,
    noise_levels,
    with_boundary,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, GatedPixelCNN, PatchDiscriminator, UNet

SPEC = ImageSpec(8, 8, 3)
KEY = jax.random.key(0)
BATCH = {"image": jnp.zeros((2, *SPEC), jnp.uint8)}
CONTEXT = Context(BATCH, KEY, jnp.int32(0))
PLAIN = GAN(DCGANGenerator(ImageSpec(28, 28, 1), 2), DCGANDiscriminator(2, normalize=False), latent_size=3)
MODEL = ImageToImage(UNet(3, 2, levels=1), colourise())
GAME = translation_game(MODEL, PatchDiscriminator(2))
PIXELS = PixelCNN(GatedPixelCNN(1, 2, (1,)), bernoulli(), ImageSpec(4, 4, 1))


def networks(gan):
    return jax.eval_shape(lambda: translation_networks(MODEL, gan, KEY, SPEC))


def traced(loss, gan):
    return jax.eval_shape(loss, networks(gan), CONTEXT)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PLAIN.init(KEY, SPEC), ValueError, r"draws images \[28, 28, 1\]; expected \[8, 8, 3\]"),
        (lambda: PIXELS.init(KEY, SPEC), ValueError, r"of images \[4, 4, 1\] was given images \[8, 8, 3\]"),
        (MODEL.sampler, ValueError, r"sampler\(spec\) is for a model with a task"),
        (lambda: MODEL._replace(task=None).sampler(SPEC), ValueError, r"sampler\(\) for one without"),
        (lambda: MODEL._replace(task=None).restorer, ValueError, "A restorer needs a model with a task"),
        (lambda: MODEL._replace(conditions=labels(2)).restorer, ValueError, "and without conditions"),
        (lambda: translation_game(MODEL._replace(task=None), None), ValueError, "without a task"),
        (
            lambda: traced(generator_loss(GAME, non_saturating_generator), GAME),
            ValueError,
            r"its losses work inside share_inputs",
        ),
        (
            lambda: traced(mismatched_loss(PLAIN, logistic_discriminator), GAME),
            ValueError,
            "was given an unconditional GAN",
        ),
        (
            lambda: jax.eval_shape(
                PIXELS._replace(draw=guided(2.0, draw_naively)).sampler(),
                jax.eval_shape(lambda: PIXELS.init(KEY, PIXELS.spec)),
                jax.random.split(KEY, 1),
            ),
            TypeError,
            "guided draws for conditions",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_training(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_translation_game_takes_the_losses_of_conditional_gans():
    for loss in (mismatched_loss(GAME, logistic_discriminator), discriminator_loss(GAME, logistic_discriminator)):
        update = share_inputs(MODEL, GAME, minimize(loss, optax.sgd(0.1), wrt="discriminator"))
        after, _, metrics = jax.eval_shape(update.update, *jax.eval_shape(update.init, networks(GAME)), CONTEXT)
        assert (after, "loss" in metrics) == (networks(GAME), True)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "make",
    [
        karras,
        karras_weight,
        min_snr_weight,
        lambda value: logit_normal_times(std=value),
        lambda value: log_normal_times(std=value),
        lambda value: churn(heun, 1.0, noise_scale=value),
        lambda value: with_boundary(clean, value),
    ],
)
def test_numbers_that_make_nan_or_nothing_are_refused(make, value):
    with pytest.raises(ValueError, match=f"of {value}; expected a finite number above 0"):
        make(value)


@pytest.mark.parametrize("ratios", [(1.0, 0.5), (float("nan"), 1.0), (-1.0, 1.0)])
def test_ratios_that_do_not_rise_are_refused(ratios):
    with pytest.raises(ValueError, match="expected two that rise"):
        churn(heun, 1.0, ratios=ratios)


@pytest.mark.parametrize("level", [0.0, float("nan"), float("inf")])
def test_noise_levels_are_finite_and_positive(level):
    with pytest.raises(ValueError, match="expected positive levels that fall"):
        noise_levels(level)
