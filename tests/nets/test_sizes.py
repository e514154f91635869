"""Networks whose depth follows the size of the image."""

import jax
import jax.numpy as jnp
import pytest

from jaxgen import ImageSpec, InputError
from jaxgen.nets import (
    DCGANDiscriminator,
    DCGANGenerator,
    ResidualDecoder,
    ResidualEncoder,
    StyleGenerator,
    halvings,
)
from tests.nets.variables import shapes

SPECS = [ImageSpec(side, side, 3) for side in range(32, 257, 16)]
SPECS += [ImageSpec(64, 96, 1), ImageSpec(192, 256, 3), ImageSpec(256, 32, 3), ImageSpec(512, 512, 3)]


def output_of(network, *given):
    def run(key, *given):
        return network.init_with_output(key, *given, train=False)[0]

    return jax.eval_shape(run, jax.random.key(0), *given)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: "x".join(map(str, spec)))
def test_every_multiple_of_16_gives_images_of_that_size_and_one_logit_each(spec):
    drawn = output_of(DCGANGenerator(spec, 2, hidden=4, most=8), jnp.zeros((3, 5)))
    assert (drawn.shape, drawn.dtype) == ((3, *spec), jnp.float32)
    logits = output_of(DCGANDiscriminator(2, hidden=4, normalize=False, most=8), drawn)
    assert (logits.shape, logits.dtype) == ((3,), jnp.float32)


@pytest.mark.parametrize("spec", [ImageSpec(48, 48, 1), ImageSpec(64, 96, 3), ImageSpec(192, 256, 3)])
def test_residual_networks_are_as_deep_as_the_image_is_large(spec):
    latent, condition, levels = jnp.zeros((3, 5)), jnp.zeros((3, 2)), halvings(spec)
    image = output_of(ResidualDecoder(spec, 2, 1, 4, levels), latent, condition)
    assert (image.shape, image.dtype) == ((3, *spec), jnp.float32)
    mean, log_variance = output_of(ResidualEncoder(5, 2, 1, 4, levels), image, condition)
    assert mean.shape == log_variance.shape == latent.shape


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: "x".join(map(str, spec)))
def test_the_smallest_map_has_a_side_of_4_or_an_odd_side(spec):
    height, width = (side / 2 ** halvings(spec) for side in spec[:2])
    assert height == int(height)
    assert width == int(width)
    assert min(height, width) <= 4 or height % 2 or width % 2


@pytest.mark.parametrize(("side", "near"), [(130, "128 and 144"), (30, "28 and 32"), (20, "28"), (600, "512")])
def test_a_size_that_cannot_be_made_is_refused_with_the_nearest(side, near):
    with pytest.raises(InputError, match=f"got {side}: the nearest (is|are) {near}\\."):
        halvings(ImageSpec(64, side, 3))


def test_layers_have_twice_as_many_channels_further_from_the_image_up_to_the_most():
    spec = ImageSpec(64, 64, 3)
    generator = shapes(DCGANGenerator(spec, 2, most=8), jnp.zeros((1, 5)), train=False)["params"]
    channels = [generator[f"ConvTranspose_{level}"]["kernel"].shape[2:] for level in range(4)]
    assert channels == [(8, 8), (8, 4), (4, 2), (2, 3)]
    discriminator = shapes(DCGANDiscriminator(2, most=8), jnp.zeros((1, *spec)), train=False)["params"]
    channels = [discriminator[f"Conv_{level}"]["kernel"].shape[2:] for level in range(4)]
    assert channels == [(3, 2), (2, 4), (4, 8), (8, 8)]


def test_a_deep_residual_network_of_two_levels_is_the_one_it_was():
    image = jnp.zeros((1, 28, 28, 1))
    params = shapes(ResidualEncoder(3, 4, 1, 8), image, train=False)["params"]
    assert [params[f"Conv_{level}"]["kernel"].shape[2:] for level in range(2)] == [(1, 4), (4, 8)]
    assert params["Dense_0"]["kernel"].shape == (7 * 7 * 8, 8)


def test_a_style_generator_draws_rectangles():
    style = StyleGenerator(ImageSpec(64, 96, 3), 2, 4)
    assert output_of(style, jnp.zeros((2, style.latent_size))).shape == (2, 64, 96, 3)
