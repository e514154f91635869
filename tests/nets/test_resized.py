"""Networks whose depth follows the size of the image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, InputError
from jaxgen.nets import (
    ResidualDecoder,
    ResidualEncoder,
    ResizedDiscriminator,
    ResizedGenerator,
    StyleGenerator,
    forward,
    halvings,
)
from tests.nets.variables import normal, shapes, variables_of

SPECS = [ImageSpec(side, side, 3) for side in range(32, 257, 16)]
SPECS += [ImageSpec(64, 96, 1), ImageSpec(192, 256, 3), ImageSpec(256, 32, 3), ImageSpec(512, 512, 3)]


def output_of(network, *given):
    return jax.eval_shape(lambda key: network.init_with_output(key, *given, train=False)[0], jax.random.key(0))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: "x".join(map(str, spec)))
def test_every_multiple_of_16_gives_images_of_that_size(spec):
    latent, image, condition, levels = jnp.zeros((3, 5)), jnp.zeros((3, *spec)), jnp.zeros((3, 2)), halvings(spec)
    for generator in (ResizedGenerator(spec, 2, 8, 4), ResidualDecoder(spec, 2, 1, 4, levels)):
        drawn = output_of(generator, latent, condition)
        assert (drawn.shape, drawn.dtype) == (image.shape, jnp.float32)
    logits = output_of(ResizedDiscriminator(2, 8, 4), image, condition)
    assert (logits.shape, logits.dtype) == ((3,), jnp.float32)
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
    with pytest.raises(InputError, match=f"got {side}: the nearest are {near}\\."):
        halvings(ImageSpec(64, side, 3))


def test_maps_have_twice_as_many_channels_at_half_the_sides_up_to_the_most():
    params = shapes(ResizedGenerator(ImageSpec(64, 64, 3), 2, 8, 4), jnp.zeros((1, 5)), train=False)["params"]
    channels = [params[f"UpsampleConv_{level}"]["kernel"].shape[2:] for level in range(4)]
    assert channels == [(8, 8), (8, 8), (8, 4), (4, 2)]


def test_a_deep_residual_network_of_two_levels_is_the_one_it_was():
    image = jnp.zeros((1, 28, 28, 1))
    params = shapes(ResidualEncoder(3, 4, 1, 8), image, train=False)["params"]
    assert [params[f"Conv_{level}"]["kernel"].shape[2:] for level in range(2)] == [(1, 4), (4, 8)]
    assert params["Dense_0"]["kernel"].shape == (7 * 7 * 8, 8)


def test_a_flat_map_is_upsampled_without_a_checkerboard():
    spec = ImageSpec(32, 32, 3)
    generator = ResizedGenerator(spec, 2, 8, 4)
    latent = normal(1, 5)
    variables = variables_of(generator, latent)
    # All pixels of the smallest map equal.
    kernel = np.array(variables["params"]["Dense_1"]["kernel"]).reshape(4, 16, -1)
    kernel[:] = kernel[:, :1]
    variables["params"]["Dense_1"]["kernel"] = kernel.reshape(4, -1)
    images, _ = jax.jit(lambda variables: forward(generator, variables, latent, train=False))(variables)
    inside = np.asarray(images)[0, 12:20, 12:20]
    np.testing.assert_allclose(inside, np.broadcast_to(inside[:1, :1], inside.shape), atol=1e-5)


def test_a_style_generator_draws_rectangles():
    style = StyleGenerator(ImageSpec(64, 96, 3), 2, 4)
    assert output_of(style, jnp.zeros((2, style.latent_size))).shape == (2, 64, 96, 3)
