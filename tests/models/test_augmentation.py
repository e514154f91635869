"""Augmentations: what they do to an image, whom they reach, and how often."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Context, ImageSpec, add, chain, init_state, lazily, make_step, minimize
from jaxgen.losses import logistic_discriminator, non_saturating_generator
from jaxgen.models import (
    GAN,
    adapt_probability,
    adaptive_augment,
    augmentation_probability,
    change_colour,
    cut_out,
    differentiable_augment,
    discriminator_loss,
    generator_loss,
    mirror,
    translate,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator

SPEC = ImageSpec(28, 28, 3)
IMAGE = jax.random.uniform(jax.random.key(0), SPEC, minval=-1)
KEYS = jax.random.split(jax.random.key(1), 200)
BATCH = {"image": jax.random.randint(jax.random.key(9), (6, *SPEC), 0, 256).astype(jnp.uint8)}
CONTEXT = Context(BATCH, key=jax.random.key(2), step=jnp.int32(0))


def many(transform):
    return np.asarray(jax.vmap(lambda key: transform(key, IMAGE))(KEYS))


def test_a_translation_moves_the_image_and_leaves_nothing_behind():
    moves = set()
    for moved in many(translate):
        inside = {
            (y, x)
            for y in range(-4, 5)
            for x in range(-4, 5)
            if np.array_equal(
                moved[max(y, 0) : 28 + min(y, 0), max(x, 0) : 28 + min(x, 0)],
                np.asarray(IMAGE)[max(-y, 0) : 28 + min(-y, 0), max(-x, 0) : 28 + min(-x, 0)],
            )
        }
        assert len(inside) == 1
        y, x = inside.pop()
        assert (moved == 0).all(-1).sum() == 28 * 28 - (28 - abs(y)) * (28 - abs(x))
        moves.add((y, x))
    assert {y for y, _ in moves} == {x for _, x in moves} == set(range(-4, 5))


def test_a_cutout_is_a_square_of_half_the_side():
    for cut in many(cut_out):
        gone = (cut == 0).all(-1)
        rows, columns = gone.any(1).sum(), gone.any(0).sum()
        assert gone.sum() == rows * columns
        assert 7 <= rows <= 14
        np.testing.assert_array_equal(cut[~gone], np.asarray(IMAGE)[~gone])
    assert max((cut == 0).all(-1).sum() for cut in many(cut_out)) == 14 * 14


def test_a_cut_out_is_as_often_at_one_border_as_at_the_other():
    keys, white = jax.random.split(jax.random.key(2), 20_000), jnp.ones((8, 8, 1))
    gone = jax.vmap(lambda key: cut_out(key, white) == 0)(keys).mean((0, 2, 3))
    np.testing.assert_allclose(
        gone, gone[::-1], atol=0.01
    )  # three standard errors of the mean of 20,000 x 8, correlated
    assert gone[0] < gone[4]


def test_a_mirror_image_is_drawn_in_half_of_all_cases():
    mirrored = [np.array_equal(one, IMAGE[:, ::-1]) for one in many(mirror)]
    assert 70 < sum(mirrored) < 130


def test_colours_change_and_shapes_do_not():
    grey = jnp.broadcast_to(IMAGE[..., :1], SPEC)
    changed = np.asarray(jax.vmap(lambda key: change_colour(key, grey))(KEYS))
    for one in changed:  # saturation does nothing to grey; brightness and contrast are one line through all pixels
        slope, offset = np.polyfit(np.asarray(grey).ravel(), one.ravel(), 1)
        np.testing.assert_allclose(one, slope * np.asarray(grey) + offset, atol=1e-4)
        assert 0.5 <= slope <= 1.5
    assert changed.mean((1, 2, 3)).std() > 0.1


@pytest.mark.parametrize("transform", [change_colour, translate, cut_out, mirror])
def test_the_generator_learns_through_it(transform):
    gradient = jax.vmap(lambda key: jax.grad(lambda image: jnp.square(transform(key, image)).sum())(IMAGE))(KEYS[:20])
    assert jnp.isfinite(gradient).all()
    assert jnp.abs(gradient).max() > 0


def make_gan(augment):
    options = {"width": 2, "kernel_init": jax.nn.initializers.he_normal()}
    return GAN(
        DCGANGenerator(SPEC, **options), DCGANDiscriminator(normalize=False, **options), latent_size=3, augment=augment
    )


def test_both_kinds_are_augmented_and_the_generators_are_too():
    seen = []

    def spy(networks, key, images):
        seen.append(key)
        return jnp.zeros_like(images)

    gan = make_gan(spy)
    networks = jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0))
    real, fake, _ = gan.logits(networks, CONTEXT, IMAGE[None], -IMAGE[None])
    np.testing.assert_array_equal(real, fake)
    assert not (jax.random.key_data(seen[0]) == jax.random.key_data(seen[1])).all()
    discriminator_loss(gan, logistic_discriminator)(networks, CONTEXT)
    generator_loss(gan, non_saturating_generator)(networks, CONTEXT)
    assert len(seen) == 5


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (1.0, 1.0), (0.3, 0.3)])
def test_each_image_is_changed_with_the_probability_of_the_state(probability, share):
    networks = {"augmentation": augmentation_probability(probability)}
    images = jnp.broadcast_to(IMAGE, (1_000, *SPEC))
    augmented = adaptive_augment(lambda _, image: -image)(networks, jax.random.key(0), images)
    changed = (np.asarray(augmented) != np.asarray(images)).any((1, 2, 3)).mean()
    assert changed == pytest.approx(share, abs=0.05 if 0 < share < 1 else 0)


def test_no_transform_changes_nothing():
    images = IMAGE[None]
    np.testing.assert_array_equal(differentiable_augment()({}, jax.random.key(0), images), images)


@pytest.mark.parametrize(("bias", "expected"), [(100.0, [0.012, 0.012, 0.024, 0.024]), (-100.0, [0.0] * 4)])
def test_the_probability_follows_the_share_of_real_images_with_positive_logits(bias, expected):
    gan = make_gan(adaptive_augment(mirror))
    networks = {
        **jax.jit(lambda key: gan.init(key, SPEC))(jax.random.key(0)),
        "augmentation": augmentation_probability(),
    }
    networks["discriminator"] = jax.tree.map(lambda leaf: leaf, networks["discriminator"])
    networks["discriminator"]["params"]["Dense_0"]["bias"] += bias
    loss = add(
        game=discriminator_loss(gan, logistic_discriminator),
        adapt=lazily(2, adapt_probability(gan, images=1_000, every=2)),
    )
    update = chain(discriminator=minimize(loss, optax.sgd(0.0), wrt="discriminator"))
    state, step = init_state(update, networks, jax.random.key(0)), jax.jit(make_step(update))
    for value in expected:
        state, _ = step(state, BATCH)
        assert state.networks["augmentation"]["adaptive"]["probability"] == pytest.approx(value, rel=1e-5)
