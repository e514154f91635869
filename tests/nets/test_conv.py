import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgen.nets import Conv, ConvTranspose, conv, conv_transpose
from jaxgen.nets.conv import LAYOUT

CASES = [
    ((28, 28), (4, 4), (2, 2)),
    ((7, 9), (4, 4), (2, 2)),
    ((8, 6), (2, 2), (1, 1)),
    ((5, 8), (6, 4), (2, 2)),
    ((9, 9), (3, 3), (2, 2)),
    ((7, 8), (2, 3), (2, 1)),
]


def native_conv(image, kernel, strides, padding):
    return lax.conv_general_dilated(image, kernel, strides, padding, dimension_numbers=LAYOUT)


def native_conv_transpose(image, kernel, strides, padding):
    return lax.conv_transpose(image, kernel, strides, padding, dimension_numbers=LAYOUT)


def draw(size, taps):
    image, kernel = jax.random.split(jax.random.key(0))
    return jax.random.normal(image, (2, *size, 3)), jax.random.normal(kernel, (*taps, 3, 5))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("size", "taps", "strides"), CASES)
@pytest.mark.parametrize(("ours", "native"), [(conv, native_conv), (conv_transpose, native_conv_transpose)])
def test_values_and_gradients_are_those_of_lax(ours, native, size, taps, strides, padding):
    image, kernel = draw(size, taps)
    expected, pull_back = jax.vjp(lambda i, k: native(i, k, strides, padding), image, kernel)
    result, our_pull_back = jax.vjp(lambda i, k: ours(i, k, strides, padding), image, kernel)
    np.testing.assert_allclose(result, expected, atol=1e-4)
    cotangent = jax.random.normal(jax.random.key(1), expected.shape)
    for ours_, theirs in zip(our_pull_back(cotangent), pull_back(cotangent), strict=True):
        np.testing.assert_allclose(ours_, theirs, atol=1e-3, rtol=1e-4)  # sums of hundreds of float32 products


@pytest.mark.parametrize(("ours", "native"), [(conv, native_conv), (conv_transpose, native_conv_transpose)])
def test_the_gradient_of_a_gradient_penalty_is_that_of_lax(ours, native):
    image, kernel = draw((8, 8), (4, 4))

    def penalty(operation):
        def value(kernel):
            inner = jax.grad(lambda image: jnp.square(operation(image, kernel, (2, 2), "SAME")).sum())
            return jnp.square(inner(image)).sum()

        return jax.grad(value)(kernel)

    np.testing.assert_allclose(
        penalty(ours), penalty(native), rtol=2e-4, atol=1e-2 * float(jnp.abs(penalty(native)).mean())
    )


def test_explicit_padding_is_that_of_lax():
    image, kernel = draw((8, 8), (4, 4))
    for padding in [((1, 1), (1, 1)), ((2, 0), (0, 3))]:
        np.testing.assert_allclose(
            conv(image, kernel, (2, 2), padding), native_conv(image, kernel, (2, 2), padding), atol=1e-4
        )


@pytest.mark.parametrize("operation", [conv, conv_transpose])
def test_channels_that_do_not_fit_are_told_with_both_shapes(operation):
    with pytest.raises(ValueError, match=r"\(2, 8, 8, 4\) and a kernel \(4, 4, 3, 5\)"):
        operation(jnp.zeros((2, 8, 8, 4)), jnp.zeros((4, 4, 3, 5)), (2, 2), "SAME")


@pytest.mark.parametrize("layer", [Conv, ConvTranspose])
def test_a_layer_is_its_function_plus_a_bias_in_its_own_precision(layer):
    operation = {Conv: conv, ConvTranspose: conv_transpose}[layer]
    image, _ = draw((8, 8), (4, 4))
    module = layer(5, (4, 4), (2, 2), bias_init=jax.nn.initializers.normal())
    output, variables = module.init_with_output(jax.random.key(0), image)
    params = variables["params"]
    np.testing.assert_allclose(output, operation(image, params["kernel"], (2, 2), "SAME") + params["bias"], rtol=1e-6)
    assert module.clone(dtype=jnp.bfloat16).apply(variables, image).dtype == jnp.bfloat16
    assert params["kernel"].dtype == jnp.float32


@pytest.mark.agreement
def test_values_are_those_of_pytorch(torch):
    image, kernel = draw((8, 6), (4, 4))
    theirs = torch.from_numpy(np.array(image)).permute(0, 3, 1, 2)
    weight = torch.from_numpy(np.array(kernel))
    halved = torch.nn.functional.conv2d(theirs, weight.permute(3, 2, 0, 1), stride=2, padding=1)
    np.testing.assert_allclose(conv(image, kernel, (2, 2), "SAME"), halved.permute(0, 2, 3, 1), atol=1e-4)
    flipped = weight.flip(0, 1).permute(2, 3, 0, 1)  # PyTorch's transposed convolution is conv2d's transpose
    doubled = torch.nn.functional.conv_transpose2d(theirs, flipped, stride=2, padding=1)
    np.testing.assert_allclose(conv_transpose(image, kernel, (2, 2), "SAME"), doubled.permute(0, 2, 3, 1), atol=1e-4)
