"""Penalties as losses: what they look at, and what they weigh."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import Context, ImageSpec, add, chain, compute, init_state, make_step, minimize, to_float
from jaxgen.core.objective import share
from jaxgen.losses import logistic_discriminator, one_centred_penalty, zero_centred_penalty
from jaxgen.models import (
    GAN,
    clip_weights,
    consistency_loss,
    discriminator_loss,
    dragan_loss,
    gradient_penalty_loss,
    lecam_averages,
    lecam_loss,
    mirror,
    r1_loss,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, forward

SPEC = ImageSpec(28, 28, 1)
BATCH = {"image": jax.random.randint(jax.random.key(9), (6, *SPEC), 0, 256).astype(jnp.uint8)}
CONTEXT = Context(BATCH, key=jax.random.key(2), step=jnp.int32(0))
HE = jax.nn.initializers.he_normal()
PLAIN = GAN(
    DCGANGenerator(SPEC, 2, kernel_init=HE), DCGANDiscriminator(2, normalize=False, kernel_init=HE), latent_size=3
)
NETWORKS = jax.jit(lambda key: PLAIN.init(key, SPEC))(jax.random.key(0))


@jax.jit
def logits(images):
    return forward(PLAIN.discriminator, NETWORKS["discriminator"], images, train=False)[0]


def test_between_equal_images_the_gradient_penalty_is_that_of_the_images():
    same = share(CONTEXT, PLAIN.drawing, Same(to_float(BATCH["image"])))
    value, _ = jax.jit(lambda networks: gradient_penalty_loss(PLAIN, weight=3.0)(networks, same))(NETWORKS)
    expected = 3 * jax.jit(lambda images: one_centred_penalty(logits, images).mean())(to_float(BATCH["image"]))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


class Same:
    """Fixed images in place of a generator's."""

    conditioning = None

    def __init__(self, images):
        self._images = images

    def images(self, _networks):
        return self._images, {}


def test_points_between_are_on_the_way_from_real_to_generated():
    seen = []

    def spy(networks, key, images):
        jax.debug.callback(lambda array: seen.append(np.asarray(array)), images)
        return images

    fake = jnp.zeros((6, *SPEC))
    context = share(CONTEXT, PLAIN.drawing, Same(fake))
    gradient_penalty_loss(PLAIN._replace(augment=spy))(NETWORKS, context)
    jax.effects_barrier()
    shares = (seen[0] / np.asarray(to_float(BATCH["image"]))).reshape(6, -1)
    np.testing.assert_allclose(shares.std(axis=1), 0, atol=1e-4)  # one share an image
    assert (shares.mean(axis=1) >= 0).all()
    assert (shares.mean(axis=1) <= 1).all()
    assert shares.mean(axis=1).std() > 0.05


def test_dragan_moves_real_images_a_little():
    value, aux = dragan_loss(PLAIN, weight=2.0)(NETWORKS, CONTEXT)
    exact = 2 * one_centred_penalty(logits, to_float(BATCH["image"])).mean()
    np.testing.assert_allclose(value, exact, rtol=0.5)
    assert value != exact
    np.testing.assert_allclose(2 * compute(aux.metrics)["penalty"], value, rtol=1e-6)


def test_finite_differences_estimate_the_exact_penalty_in_expectation():
    exact = r1_loss(PLAIN, gamma=1.0)(NETWORKS, CONTEXT)[0]
    estimate = r1_loss(PLAIN, gamma=1.0, finite_differences=True)
    keys = jax.random.split(jax.random.key(5), 2_000)
    values = jax.lax.map(lambda key: estimate(NETWORKS, CONTEXT._replace(key=key))[0], keys, batch_size=50)
    assert abs(values.mean() - exact) < 5 * values.std() / np.sqrt(len(values))
    np.testing.assert_allclose(exact, zero_centred_penalty(logits, to_float(BATCH["image"])).mean(), rtol=1e-5)


def test_consistency_is_the_mean_squared_change_of_logits():
    value, _ = consistency_loss(PLAIN, lambda _, image: image[:, ::-1], weight=2.0)(NETWORKS, CONTEXT)
    real = to_float(BATCH["image"])
    np.testing.assert_allclose(value, 2 * jnp.square(logits(real) - logits(real[:, :, ::-1])).mean(), rtol=1e-4)
    unchanged = consistency_loss(PLAIN, lambda _, image: image, of_generated=1.0)
    assert unchanged(NETWORKS, CONTEXT)[0] == 0
    both = consistency_loss(PLAIN, lambda _, image: image[:, ::-1], weight=2.0, of_generated=1.0)
    assert both(NETWORKS, CONTEXT)[0] > value


def test_consistency_takes_the_transforms_of_augmentation_each_image_by_itself():
    seen = []

    def spy(_networks, _key, images):
        jax.debug.callback(lambda array: seen.append(np.asarray(array)), images, ordered=True)
        return images

    consistency_loss(PLAIN._replace(augment=spy), mirror)(NETWORKS, CONTEXT)
    jax.effects_barrier()
    real, changed = seen
    is_mirrored = (changed == real[:, :, ::-1]).all((1, 2, 3))
    assert ((changed == real).all((1, 2, 3)) | is_mirrored).all()
    assert 0 < is_mirrored.sum() < len(real)


def test_averages_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="lecam"):
        lecam_loss(PLAIN, weight=0.3)(NETWORKS, CONTEXT)


def test_averages_of_logits_are_followed():
    networks = {**NETWORKS, "lecam": lecam_averages()}
    loss = add(game=discriminator_loss(PLAIN, logistic_discriminator), lecam=lecam_loss(PLAIN, weight=0.3, decay=0.9))
    update = chain(discriminator=minimize(loss, optax.sgd(0.0), wrt="discriminator"))
    state = jax.jit(lambda networks: init_state(update, networks, jax.random.key(0)))(networks)
    step = jax.jit(make_step(update))
    state, _ = step(state, BATCH)
    real = logits(to_float(BATCH["image"])).mean()
    np.testing.assert_allclose(state.networks["lecam"]["averages"]["real"], 0.1 * real, rtol=1e-4)
    state, _ = step(state, BATCH)
    np.testing.assert_allclose(state.networks["lecam"]["averages"]["real"], 0.19 * real, rtol=1e-4)


def test_clipped_weights_stay_within_the_limit():
    params = {"a": jnp.array([0.005, -0.009, 0.0]), "b": jnp.array([5.0])}
    descent = optax.chain(optax.sgd(1.0), clip_weights(0.01))
    gradients = {"a": jnp.array([-1.0, 1.0, 0.002]), "b": jnp.array([0.0])}
    steps, _ = descent.update(gradients, descent.init(params), params)
    after = optax.apply_updates(params, steps)
    np.testing.assert_allclose(after["a"], [0.01, -0.01, -0.002], atol=1e-7)
    np.testing.assert_allclose(after["b"], [0.01], atol=1e-6)


@pytest.mark.parametrize("loss", [gradient_penalty_loss(PLAIN), dragan_loss(PLAIN), r1_loss(PLAIN, gamma=1.0)])
def test_a_penalty_is_reproducible_and_of_its_own_key(loss):
    assert loss(NETWORKS, CONTEXT)[0] == loss(NETWORKS, CONTEXT)[0]
