"""A convolution with a stride is one at twice or before half the size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nets import Conv, ConvMeanPool, UpsampleConv, conv
from jaxgen.nets.layers.resized_conv import conv_mean_pool, upsample_conv
from jaxgen.nets.layers.resizing import mean_pool, upsample
from tests.rounding import assert_equal_sums

PLAIN = {
    upsample_conv: lambda image, kernel: conv(upsample(image), kernel),
    conv_mean_pool: lambda image, kernel: mean_pool(conv(image, kernel)),
}


@pytest.mark.parametrize("taps", [(3, 3), (1, 5)])
@pytest.mark.parametrize("fused", PLAIN)
def test_values_and_gradients_are_those_of_the_two_operations(fused, taps):
    image = jax.random.normal(jax.random.key(0), (2, 4, 6, 3))
    kernel = jax.random.normal(jax.random.key(1), (*taps, 3, 5))
    cotangent = jax.random.normal(jax.random.key(2), jax.eval_shape(fused, image, kernel).shape)

    def values(operation, *given):
        value, pull = jax.vjp(operation, *given[:2])
        return value, *pull(given[2])

    given = image, kernel, cotangent
    both = values(fused, *given), values(PLAIN[fused], *given)
    # An entry of the kernel's gradient has a term for each pixel of each image, taken up to four times.
    for ours, theirs, magnitude in zip(*both, values(PLAIN[fused], *map(jnp.abs, given)), strict=True):
        assert_equal_sums(ours, theirs, magnitude, terms=200)


def test_a_last_odd_row_is_in_no_mean():
    image, kernel = jnp.arange(5.0 * 4).reshape(1, 5, 4, 1), jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1)
    np.testing.assert_array_equal(conv_mean_pool(image, kernel), mean_pool(image[:, :4]))


@pytest.mark.parametrize(("layer", "after"), [(UpsampleConv, upsample), (ConvMeanPool, mean_pool)])
def test_the_layers_have_the_parameters_of_a_plain_convolution(layer, after):
    # Of one tap, which commutes with a change of size.
    options = {"kernel_size": (1, 1), "bias_init": jax.nn.initializers.normal()}
    image = jax.random.normal(jax.random.key(0), (1, 4, 4, 2))
    variables = Conv(3, **options).init(jax.random.key(1), image)
    expected = after(Conv(3, **options).apply(variables, image))
    np.testing.assert_allclose(layer(3, **options).apply(variables, image), expected, rtol=1e-5, atol=1e-6)
