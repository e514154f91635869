"""Diffusion models of the maps of an autoencoder."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import ImageSpec, init_state, make_step, minimize, to_float
from jaxgen.core.types import Context
from jaxgen.losses import gaussian
from jaxgen.models import VAE, VQVAE, Diffusion, denoising_loss, image_keys
from jaxgen.models.diffusion import (
    Autoencoder,
    autoencoder_first,
    clean,
    decoded,
    decoded_controls,
    follow_moments,
    map_vae,
    on_latents,
    uniform_grid,
    vae_autoencoder,
    vqvae_autoencoder,
)
from jaxgen.nets import FromMap, MapDecoder, MapEncoder, MapPosterior
from tests.models.exact_diffusion import GaussianNetwork

SPEC, MAPS = ImageSpec(8, 8, 3), ImageSpec(2, 2, 2)
IMAGES = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, *SPEC), np.uint8))
KEYS = image_keys(jnp.uint32(0), jnp.arange(3))
GAIN, SHIFT = jnp.array([3.0, 0.5, -2.0]), jnp.array([1.0, 0.0, -4.0])
AFFINE = Autoencoder(lambda _, images: GAIN * images + SHIFT, lambda _, maps: (maps - SHIFT) / GAIN, SPEC)
UNIT = Diffusion(GaussianNetwork(1.0), SPEC, prediction=clean, grid=uniform_grid(64))
STANDARD = {"denoiser": {"params": {"mean": jnp.float32(0)}}}


def moments_of(images):
    """The networks of the affine autoencoder after a step on images."""
    update = follow_moments(AFFINE)
    networks, state = update.init({})
    context = Context({"image": images}, jax.random.key(0), jnp.int32(0))
    return update.update(networks, state, context)[0]


def test_maps_of_the_first_batch_are_standardised_by_channel():
    networks = moments_of(IMAGES)
    maps = AFFINE.encode(networks, to_float(IMAGES))
    np.testing.assert_allclose(maps.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(maps.std((0, 1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(AFFINE.decode(networks, maps), to_float(IMAGES), atol=1e-5)


def test_moments_are_averages_over_batches():
    update, key = follow_moments(AFFINE, 0.75), jax.random.key(0)
    networks, state = update.init({})
    means = []
    for step, images in enumerate((IMAGES, IMAGES // 2)):
        networks, state, _ = update.update(networks, state, Context({"image": images}, key, jnp.int32(step)))
        means.append(AFFINE.encoder(networks, to_float(images)).mean((0, 1, 2)))
    averages = networks[AFFINE.name]["averages"]
    np.testing.assert_allclose(averages["mean"], 0.75 * means[0] + 0.25 * means[1], rtol=1e-5)


def test_a_channel_that_is_constant_has_finite_maps():
    maps = AFFINE.encode(moments_of(jnp.full_like(IMAGES, 7)), to_float(IMAGES))
    assert jnp.isfinite(maps).all()


def test_samples_of_standard_maps_have_the_moments_of_the_images():
    # The flow from noise to standard normal maps is the identity, so that images are noise with the images' moments.
    networks = {**moments_of(IMAGES), **STANDARD}
    images = jax.jit(decoded(UNIT.sampler(), AFFINE))(networks, KEYS)
    noise = UNIT.controls(networks).draw(jnp.uint32(0), jnp.arange(3)).reshape(3, *SPEC)
    mean, std = (getattr(to_float(IMAGES), name)((0, 1, 2)) for name in ("mean", "std"))
    # A negative gain mirrors the noise.  Heun's error with 64 steps is below 1e-3.
    np.testing.assert_allclose(images, mean + std * jnp.sign(GAIN) * noise, atol=5e-3)


def test_controls_of_images_draw_the_samplers_images_and_encode_them():
    networks = {**moments_of(IMAGES), **STANDARD}
    controls = decoded_controls(UNIT.controls, AFFINE)(networks)
    latents = controls.draw(jnp.uint32(0), jnp.arange(3))
    images = controls.generate(controls.codes(latents, {}), latents, {})
    np.testing.assert_allclose(images, decoded(UNIT.sampler(), AFFINE)(networks, KEYS), atol=1e-5)
    np.testing.assert_allclose(controls.encode(images, {}), latents, atol=5e-3)


def test_the_loss_on_maps_is_that_of_a_model_of_them_and_does_not_move_the_autoencoder():
    vae, autoencoder = map_vae(SPEC, MAPS.channels, width=4)
    model = Diffusion(GaussianNetwork(), MAPS, prediction=clean)
    networks = {**vae.init(jax.random.key(0), SPEC), **model.init(jax.random.key(1), MAPS), **autoencoder.init()}
    context = Context({"image": IMAGES}, jax.random.key(2), jnp.int32(0))
    loss = on_latents(denoising_loss(model), autoencoder)
    value, gradients = jax.value_and_grad(lambda networks: loss(networks, context)[0])(networks)
    assert not any(jnp.any(leaf) for leaf in jax.tree.leaves([gradients["encoder"], gradients["decoder"]]))
    assert jnp.any(gradients["denoiser"]["params"]["mean"])
    # Written out: unit moments, posterior means, and the loss of data that are these maps.
    maps = vae.encode(networks, context.batch, train=False)[0][0].reshape(-1, *MAPS)
    again = denoising_loss(model)(networks, context._replace(batch={"image": IMAGES, "latent_map": maps}))[0]
    np.testing.assert_allclose(value, again, rtol=1e-6)


def moved(before, after):
    return any(jax.tree.leaves(jax.tree.map(lambda old, new: bool(jnp.any(old != new)), before, after)))


def test_the_autoencoder_trains_on_the_first_steps_and_is_frozen_when_the_flow_trains():
    vae, autoencoder = map_vae(SPEC, MAPS.channels, width=4)
    model = Diffusion(GaussianNetwork(), MAPS, prediction=clean)
    flow = minimize(on_latents(denoising_loss(model), autoencoder), optax.sgd(1.0), wrt="denoiser")
    update = autoencoder_first(2, vae, autoencoder, flow)
    networks = {**vae.init(jax.random.key(0), SPEC), **model.init(jax.random.key(1), MAPS)}
    states, step = [init_state(update, networks, jax.random.key(2))], jax.jit(make_step(update))
    for _ in range(3):
        states.append(step(states[-1], {"image": IMAGES})[0])
    changed = [
        {name for name in after.networks if moved(before.networks[name], after.networks[name])}
        for before, after in pairwise(states)
    ]
    assert changed == [{"encoder", "decoder", "moments"}, {"encoder", "decoder", "moments"}, {"denoiser"}]


def test_a_vqvae_decodes_the_codes_nearest_to_its_maps():
    model = VQVAE(MapEncoder(2, 4), MapDecoder(SPEC, 4), gaussian(0.1), codes=5)
    networks = model.init(jax.random.key(0), SPEC)
    autoencoder = vqvae_autoencoder(model, MAPS)
    networks |= autoencoder.init()
    images = autoencoder.decode(networks, autoencoder.encode(networks, to_float(IMAGES)))
    np.testing.assert_array_equal(images, model.reconstruct(networks, {"image": IMAGES}))


@pytest.mark.parametrize("latent_size", [4, 16])
def test_maps_of_another_number_of_latents_are_refused(latent_size):
    vae = VAE(MapPosterior(MapEncoder(4)), FromMap(MapDecoder(SPEC), MAPS), gaussian(0.1), latent_size)
    with pytest.raises(ValueError, match=f"{latent_size} latents"):
        vae_autoencoder(vae, MAPS)


@pytest.mark.parametrize("maps", [ImageSpec(3, 3, 2), ImageSpec(2, 2, 1)])
def test_an_encoder_whose_maps_have_another_size_is_refused(maps):
    model = VQVAE(MapEncoder(2, 4), MapDecoder(SPEC, 4), gaussian(0.1), codes=5)
    autoencoder = vqvae_autoencoder(model, maps)
    networks = model.init(jax.random.key(0), SPEC) | autoencoder.init()
    with pytest.raises(ValueError, match=r"makes maps \[2, 2, 2\]; expected"):
        autoencoder.encode(networks, to_float(IMAGES))
