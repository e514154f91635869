"""A convolution with a stride is one at twice or before half the size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nets import Conv, ConvMeanPool, UpsampleConv, conv
from jaxgen.nets.layers.resized_conv import conv_mean_pool, upsample_conv
from jaxgen.nets.layers.resizing import mean_pool, upsample
from tests.nets.variables import normal, shapes, variables_like
from tests.rounding import assert_equal_sums

PLAIN = {
    upsample_conv: lambda image, kernel: conv(upsample(image), kernel),
    conv_mean_pool: lambda image, kernel: mean_pool(conv(image, kernel)),
}


@pytest.mark.parametrize("taps", [(3, 3), (1, 5)])
@pytest.mark.parametrize("fused", PLAIN)
def test_values_and_gradients_are_those_of_the_two_operations(fused, taps):
    image, kernel = normal(2, 4, 6, 3), normal(*taps, 3, 5, seed=1)
    cotangent = normal(*jax.eval_shape(fused, image, kernel).shape, seed=2)

    def values(operation, *given):
        value, pull = jax.vjp(operation, *given[:2])
        return value, *pull(given[2])

    @jax.jit
    def compared(*given):
        plain = PLAIN[fused]
        return values(fused, *given), values(plain, *given), values(plain, *map(jnp.abs, given))

    # An entry of the kernel's gradient has a term for each pixel of each image, taken up to four times.
    for ours, theirs, magnitude in zip(*compared(image, kernel, cotangent), strict=True):
        assert_equal_sums(ours, theirs, magnitude, terms=200)


def test_a_last_odd_row_is_in_no_mean():
    image, kernel = np.arange(20, dtype=np.float32).reshape(1, 5, 4, 1), np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1
    pooled, expected = jax.jit(lambda image: (conv_mean_pool(image, kernel), mean_pool(image[:, :4])))(image)
    np.testing.assert_array_equal(pooled, expected)


@pytest.mark.parametrize(("layer", "after"), [(UpsampleConv, upsample), (ConvMeanPool, mean_pool)])
def test_the_layers_have_the_parameters_of_a_plain_convolution(layer, after):
    # Of one tap, which commutes with a change of size.
    image, plain, resized = normal(1, 4, 4, 2), Conv(3, (1, 1)), layer(3, (1, 1))
    assert shapes(resized, image) == shapes(plain, image)
    given = variables_like(shapes(plain, image)), image
    ours, expected = jax.jit(lambda *given: (resized.apply(*given), after(plain.apply(*given))))(*given)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
