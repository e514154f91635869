"""Ways, directions, and the latents of given images."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import linalg

from jaxgen import ImageSpec, InputError, init_state, make_step, minimize, to_uint8
from jaxgen.core.controls import Controls
from jaxgen.models import (
    along,
    closed_form_directions,
    find_codes,
    interpolate,
    inversion_loss,
    latent_network,
    principal_directions,
    saliency,
)
from jaxgen.nets import DCGANGenerator, forward

FIRST, LAST = jax.random.normal(jax.random.key(0), (2, 3, 5))


@pytest.mark.parametrize("spherical", [True, False])
def test_a_way_begins_and_ends_where_it_should(spherical):
    way = interpolate(FIRST, LAST, 7, spherical=spherical)
    assert way.shape == (7, 3, 5)
    np.testing.assert_allclose(way[0], FIRST, atol=1e-5)
    np.testing.assert_allclose(way[-1], LAST, atol=1e-5)


def test_a_great_circle_keeps_the_length_and_turns_evenly():
    unit = [latent / jnp.linalg.norm(latent, axis=-1, keepdims=True) for latent in (FIRST, LAST)]
    way = interpolate(*unit, 9, spherical=True)
    np.testing.assert_allclose(jnp.linalg.norm(way, axis=-1), 1, rtol=1e-5)
    turns = (way[1:] * way[:-1]).sum(-1)
    np.testing.assert_allclose(turns, jnp.broadcast_to(turns[0], turns.shape), rtol=1e-4)


def test_between_a_latent_and_itself_there_is_nothing_else():
    np.testing.assert_allclose(interpolate(FIRST, FIRST, 3, spherical=True)[1], FIRST, rtol=1e-5)


def test_an_interpolation_needs_two_ends():
    with pytest.raises(InputError, match="An interpolation of 1 latents"):
        interpolate(FIRST, LAST, 1)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_directions_are_the_eigenvectors_of_the_weights(shape):
    kernel = np.asarray(jax.random.normal(jax.random.key(1), shape))
    directions, strengths = closed_form_directions(jnp.asarray(kernel))
    values = linalg.eigvalsh(kernel @ kernel.T)[::-1]
    np.testing.assert_allclose(np.square(strengths), values, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(directions @ directions.T, np.eye(shape[0]), atol=1e-5)
    for direction, strength in zip(np.asarray(directions), np.asarray(strengths), strict=True):
        assert np.linalg.norm(direction @ kernel) == pytest.approx(strength, abs=1e-4)


def test_principal_directions_are_those_of_the_covariance():
    samples = np.random.default_rng(0).normal(size=(500, 4)) * [3.0, 2.0, 1.0, 0.5]
    directions, deviations = principal_directions(jnp.asarray(samples), 2)
    values, vectors = np.linalg.eigh(np.cov(samples.T))
    np.testing.assert_allclose(np.square(deviations), values[::-1][:2], rtol=1e-4)
    np.testing.assert_allclose(np.abs(directions), np.abs(vectors.T[::-1][:2]), atol=1e-4)
    with pytest.raises(InputError, match="expected 1 to 4"):
        principal_directions(jnp.asarray(samples), 5)


def test_steps_along_a_direction():
    latents = along(FIRST[0], jnp.eye(5)[2], jnp.array([-1.0, 0.0, 2.0]))
    np.testing.assert_allclose(latents - FIRST[0], np.outer([-1, 0, 2], np.eye(5)[2]), atol=1e-6)


def test_the_latent_of_a_generated_image_is_found():
    generator = DCGANGenerator(ImageSpec(28, 28, 1), width=4, kernel_init=jax.nn.initializers.he_normal())
    variables = jax.jit(lambda key: generator.init(key, jnp.zeros((1, 6)), train=False))(jax.random.key(0))

    @jax.jit
    def generate(networks, latent):
        return forward(generator, networks["generator"], latent, train=False)[0]

    # From several places at once: a generator's landscape has more than one valley.
    networks = {"generator": variables, "latent": latent_network(jax.random.normal(jax.random.key(4), (16, 6)))}
    image = to_uint8(generate(networks, jax.random.normal(jax.random.key(3), (1, 6))))
    images = jnp.repeat(image, 16, axis=0)
    update = minimize(inversion_loss(generate), optax.adam(0.1), wrt="latent")
    state = jax.jit(lambda networks: init_state(update, networks, jax.random.key(1)))(networks)
    step = jax.jit(make_step(update))
    for _ in range(300):
        state, _ = step(state, {"image": images})
    found = to_uint8(generate(state.networks, state.networks["latent"]["params"]))
    error = np.square(np.asarray(found, float) - np.asarray(images, float)).mean((1, 2, 3)).min()
    assert 10 * np.log10(255**2 / error) > 30  # dB


def test_pixels_that_move_the_logit_are_salient():
    weight = jnp.zeros((4, 4, 3)).at[1, 2].set(3.0).at[0, 0].set(1.0)
    found = saliency(lambda images: (images * weight).sum((1, 2, 3)), jnp.zeros((2, 4, 4, 3)))
    expected = np.zeros((4, 4))
    expected[1, 2], expected[0, 0] = 1, 1 / 3
    np.testing.assert_allclose(found, [expected] * 2, rtol=1e-5, atol=1e-7)


def test_a_start_that_diverged_is_not_the_code_of_an_image():
    controls = Controls(
        draw=lambda seed, index: 1.0 - 2.0 * index[:, None],  # the root of the second start's latent is not a number
        codes=lambda latents, _: latents[:, None],
        generate=lambda codes, latents, _: codes[..., None] + 0 * jnp.sqrt(latents)[:, None, None],
        first_layer=lambda codes: codes[:, 0],
    )
    codes, drawn = find_codes(controls, jnp.zeros((1, 1, 1, 1), jnp.uint8), steps=3, starts=2)
    np.testing.assert_allclose(codes, 0.7, atol=0.01)  # three steps of Adam, each of about its learning rate
    np.testing.assert_allclose(drawn, to_uint8(codes[..., None]))
