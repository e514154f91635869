"""Latent traversals, by live and by exported controls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, InputError, to_uint8
from jaxgen.core.condition import labels
from jaxgen.export import ExportInfo, export_controls, load_controls, seeded
from jaxgen.models import (
    GAN,
    closed_form_directions,
    find_directions,
    interpolations,
    style_controls,
    style_mixtures,
    traversals,
    truncations,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, StyleGenerator

SPEC = ImageSpec(28, 28, 1)
GENERATOR = StyleGenerator(SPEC, width=2, style_size=4, depth=1)
HE = jax.nn.initializers.he_normal()
STYLE_GAN = GAN(GENERATOR, DCGANDiscriminator(2, normalize=False), GENERATOR.latent_size, labels(3))
PLAIN_GAN = GAN(DCGANGenerator(SPEC, 2, kernel_init=HE), DCGANDiscriminator(2, normalize=False), 6)


@pytest.fixture(scope="module")
def style_networks():
    return jax.jit(lambda key: STYLE_GAN.init(key, SPEC))(jax.random.key(0))


@pytest.fixture(scope="module")
def plain_networks():
    return jax.jit(lambda key: PLAIN_GAN.init(key, SPEC))(jax.random.key(0))


@pytest.fixture(scope="module")
def styled(style_networks, tmp_path_factory):
    """The controls of a conditional style-based GAN, by way of their files."""
    folder = tmp_path_factory.mktemp("controls")
    info = ExportInfo(SPEC, STYLE_GAN.conditions, None)
    export_controls(style_controls(STYLE_GAN))(folder, style_networks, info)
    return load_controls(folder).controls


@pytest.fixture(scope="module")
def plain(plain_networks):
    controls = PLAIN_GAN.controls(plain_networks)
    return controls._replace(generate=jax.jit(controls.generate))


def latents_of(controls, number, seed=5):
    return controls.draw(jnp.uint32(seed), jnp.arange(number, dtype=jnp.int32))


FIELDS = {"label": jnp.array([2, 0], jnp.int32)}


def test_exported_controls_are_the_live_ones_and_draw_what_the_sampler_draws(styled, style_networks):
    live = style_controls(STYLE_GAN)(style_networks)
    latents = latents_of(styled, 2)
    codes = jax.jit(live.codes)(latents, FIELDS)
    np.testing.assert_allclose(styled.codes(latents, FIELDS), codes, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(styled.first_layer(codes), jax.jit(live.first_layer)(codes), rtol=1e-5, atol=1e-6)

    def logit(controls, codes):
        images = controls.generate(codes, latents, FIELDS)
        return controls.logits(images, FIELDS).sum(), images

    sample = jax.jit(seeded(STYLE_GAN.sampler(), style_networks))
    expected = sample(jnp.uint32(5), jnp.arange(2), FIELDS)
    gradient, found = jax.jit(jax.grad(lambda codes: logit(styled, codes), has_aux=True))(codes)
    np.testing.assert_allclose(to_uint8(found).astype(int), expected.astype(int), atol=1)
    assert jnp.abs(gradient).max() > 0
    live_gradient = jax.jit(jax.grad(lambda codes: logit(live, codes)[0]))(codes)
    np.testing.assert_allclose(gradient, live_gradient, rtol=1e-4, atol=1e-6)


def test_interpolations_begin_and_end_at_images_of_the_sampler(plain):
    latents = latents_of(plain, 4)
    images = to_uint8(plain.generate(latents[:, None], latents, {}))
    drawn = interpolations(plain, latents, columns=3)
    assert drawn.shape == (2, 3, *SPEC)
    np.testing.assert_allclose(drawn[:, 0].astype(int), images[:2].astype(int), atol=1)
    np.testing.assert_allclose(drawn[:, -1].astype(int), images[2:].astype(int), atol=1)


def test_truncation_ends_at_the_image_and_begins_at_the_mean_of_its_class(styled):
    latents = latents_of(styled, 2)
    images = to_uint8(styled.generate(styled.codes(latents, FIELDS), latents, FIELDS))
    drawn = truncations(styled, latents, FIELDS, values=(0.0, 1.0), num=50)
    np.testing.assert_allclose(drawn[:, 1].astype(int), images.astype(int), atol=1)
    others = latents_of(styled, 50, seed=0)
    centre = styled.codes(others, {"label": jnp.full(50, 2, jnp.int32)}).mean(0, keepdims=True)
    mean_image = to_uint8(styled.generate(centre, latents[:1], {"label": FIELDS["label"][:1]}))
    np.testing.assert_allclose(drawn[0, 0].astype(int), mean_image[0].astype(int), atol=1)


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_truncations_beyond_are_refused(plain, value):
    with pytest.raises(InputError, match=r"expected 0 \(the mean\)"):
        truncations(plain, latents_of(plain, 1), values=(value,))


def test_mixtures_of_all_layers_are_one_of_the_parents(styled):
    content, style = jnp.split(latents_of(styled, 4), 2)
    all_content = style_mixtures(styled, content, style, FIELDS, layer=5, style_fields=FIELDS)
    assert all_content.shape == (3, 3, *SPEC)
    for column in (1, 2):
        np.testing.assert_array_equal(all_content[1:, column], all_content[1:, 0])
    # The noise is the content's, whose strength is zero before training.
    all_style = style_mixtures(styled, content, style, FIELDS, layer=0, style_fields=FIELDS)
    np.testing.assert_allclose(all_style[1, 1:].astype(int), all_style[0, 1:].astype(int), atol=1)


def test_the_directions_of_a_dense_layer_are_those_of_its_kernel(plain, plain_networks):
    kernel = plain_networks["generator"]["params"]["Dense_0"]["kernel"]
    latents = latents_of(plain, 4_000)
    expected = closed_form_directions(kernel)[0][:2]
    for method, closeness in (("sefa", 0.999), ("ganspace", 0.9)):
        found = find_directions(plain, latents, num=2, method=method)
        lengths = jnp.linalg.norm(found, axis=1)
        np.testing.assert_allclose(lengths, 1, atol=0.1)  # a standard deviation of standard normal latents
        # Of normal latents the principal components of a linear layer are its singular vectors, up to chance.
        cosines = jnp.abs((found / lengths[:, None] * expected).sum(1))
        assert cosines.min() > closeness, method


def test_a_walk_passes_the_image_that_it_is_of(plain):
    latents = latents_of(plain, 50)
    found = find_directions(plain, latents, num=3, method="sefa")
    drawn = traversals(plain, latents[0], found, steps=jnp.array([-1.0, 0.0, 1.0]))
    assert drawn.shape == (3, 3, *SPEC)
    image = to_uint8(plain.generate(latents[:1, None], latents[:1], {}))[0]
    np.testing.assert_allclose(drawn[:, 1].astype(int), jnp.broadcast_to(image, (3, *SPEC)).astype(int), atol=1)
    assert (drawn[:, 0] != drawn[:, 2]).any()


def test_more_directions_than_there_are_are_refused(plain):
    with pytest.raises(InputError, match="7 directions: expected 1 to 6"):
        find_directions(plain, latents_of(plain, 9), num=7, method="sefa")


def test_only_a_style_based_generator_has_style_controls():
    with pytest.raises(TypeError, match="expected a StyleGenerator"):
        style_controls(PLAIN_GAN)
