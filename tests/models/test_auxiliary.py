"""Classes and codes that a discriminator finds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import Context, ImageSpec, to_float
from jaxgen.core.condition import labels
from jaxgen.models import GAN, code_latents, generated_class_loss, information_loss, real_class_loss
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, forward

SPEC = ImageSpec(28, 28, 1)
BATCH = {
    "image": jax.random.randint(jax.random.key(9), (6, *SPEC), 0, 256).astype(jnp.uint8),
    "label": jnp.arange(6) % 3,
}
CONTEXT = Context(BATCH, key=jax.random.key(2), step=jnp.int32(0))
HE = jax.nn.initializers.he_normal()


def make_gan(auxiliary, **options):
    discriminator = DCGANDiscriminator(2, normalize=False, auxiliary=auxiliary, kernel_init=HE)
    return GAN(DCGANGenerator(SPEC, 2, kernel_init=HE), discriminator, latent_size=8, **options)


def cross_entropy(scores, label):
    scores = np.asarray(scores, np.float64)
    return np.mean(np.log(np.exp(scores).sum(-1)) - scores[np.arange(len(scores)), np.asarray(label)])


def test_classes_are_found_by_the_further_outputs():
    gan = make_gan(3, conditions=labels(3))
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
    output, _ = forward(gan.discriminator, networks["discriminator"], to_float(BATCH["image"]), train=False)
    assert output.shape == (6, 4)
    value, _ = real_class_loss(gan)(networks, CONTEXT)
    np.testing.assert_allclose(value, cross_entropy(output[:, 1:], BATCH["label"]), rtol=1e-5)
    images, _ = gan.draw(networks, CONTEXT)
    drawn, _ = forward(gan.discriminator, networks["discriminator"], images, train=False)
    value, _ = generated_class_loss(gan)(networks, CONTEXT)
    np.testing.assert_allclose(value, cross_entropy(drawn[:, 1:], BATCH["label"]), rtol=1e-5)


def test_a_discriminator_that_is_to_find_the_class_is_not_conditioned_on_it():
    gan = make_gan(3, conditions=labels(3))
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
    image = to_float(BATCH["image"])
    outputs = [
        forward(gan.discriminator, networks["discriminator"], image, condition, train=False)[0]
        for condition in (jnp.eye(3)[BATCH["label"]], jnp.zeros((6, 3)))
    ]
    np.testing.assert_array_equal(*outputs)


def test_codes_are_one_of_the_categories_and_numbers_from_minus_one_to_one():
    draw = code_latents(4, 2)
    latent = jax.vmap(lambda key: draw(key, 8))(jax.random.split(jax.random.key(0), 4_000))
    category, numbers, noise = np.split(np.asarray(latent), [4, 6], axis=1)
    np.testing.assert_array_equal(np.sort(category, axis=1), np.tile([0, 0, 0, 1], (4_000, 1)))
    np.testing.assert_allclose(category.mean(0), 0.25, atol=0.05)
    assert np.abs(numbers).max() <= 1
    np.testing.assert_allclose(numbers.var(0), 1 / 3, atol=0.03)
    np.testing.assert_allclose(noise.var(0), 1, atol=0.1)


def test_information_is_that_of_the_codes_that_were_drawn():
    gan = make_gan(5, draw_latent=code_latents(3, 2))
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
    latent, (images, _) = gan.latents(CONTEXT), gan.draw(networks, CONTEXT)
    output, _ = forward(gan.discriminator, networks["discriminator"], images, train=False)
    value, _ = information_loss(gan, categories=3, continuous=2)(networks, CONTEXT)
    numbers = 0.5 * np.square(output[:, 4:] - latent[:, 3:5]).sum(-1).mean()
    np.testing.assert_allclose(value, cross_entropy(output[:, 1:4], latent[:, :3].argmax(-1)) + numbers, rtol=1e-5)


def test_codes_without_categories_are_numbers_alone():
    gan = make_gan(2, draw_latent=code_latents(0, 2))
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
    images, _ = gan.draw(networks, CONTEXT)
    output, _ = forward(gan.discriminator, networks["discriminator"], images, train=False)
    value, _ = information_loss(gan, categories=0, continuous=2)(networks, CONTEXT)
    expected = 0.5 * np.square(output[:, 1:] - gan.latents(CONTEXT)[:, :2]).sum(-1).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("auxiliary", "loss", "expected"),
    [
        (1, real_class_loss, r"\[6, 2\]; expected \[B, 4\]: auxiliary=3"),
        (0, generated_class_loss, r"\[6\]; expected \[B, 4\]: auxiliary=3"),
        (4, lambda gan: information_loss(gan, categories=4, continuous=1), r"\[6, 5\]; expected \[B, 6\]: auxiliary=5"),
    ],
)
def test_a_discriminator_with_too_few_outputs_is_refused(auxiliary, loss, expected):
    gan = make_gan(auxiliary, conditions=labels(3))
    networks = jax.eval_shape(lambda key: gan.init(key, SPEC), jax.random.key(0))
    with pytest.raises(ValueError, match=expected):
        jax.eval_shape(loss(gan), networks, CONTEXT)


def test_classes_without_labels_and_codes_longer_than_their_latents_are_refused():
    for loss in (real_class_loss, generated_class_loss):
        with pytest.raises(ValueError, match="give it conditions=labels"):
            loss(make_gan(3))
    with pytest.raises(ValueError, match="latent_size=12 was given; the code alone has 15 dimensions"):
        code_latents(10, 5)(jax.random.key(0), 12)
