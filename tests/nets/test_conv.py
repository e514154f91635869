from functools import partial
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from jax import export, lax

from jaxgen.nets import Conv, ConvTranspose, conv, conv_transpose
from jaxgen.nets.layers.conv import LAYOUT

RANDOM = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
EPSILON = {"float32": 2e-6, "bfloat16": 2e-2}
"""Largest difference relative to the largest value: sums in another order, rounded to the type."""

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
EDGES = st.tuples(st.integers(-1, 3), st.integers(-1, 3))
CASES = st.fixed_dictionaries(
    {
        "size": st.tuples(st.integers(1, 9), st.integers(1, 9)),
        "taps": st.tuples(st.integers(1, 5), st.integers(1, 5)),
        "strides": PAIRS,
        "padding": st.one_of(st.sampled_from(["SAME", "VALID"]), st.tuples(EDGES, EDGES)),
        "dtype": st.sampled_from(["float32", "bfloat16"]),
    }
)


def native_conv(image, kernel, strides, padding):
    return lax.conv_general_dilated(image, kernel, strides, padding, dimension_numbers=LAYOUT)


def native_conv_transpose(image, kernel, strides, padding):
    return lax.conv_transpose(image, kernel, strides, padding, dimension_numbers=LAYOUT)


def conv_transpose_elsewhere(image, kernel, strides, padding):
    """What other devices than a CPU run."""
    with patch.object(lax, "platform_dependent", lambda *given, cpu, default: default(*given)):
        return conv_transpose(image, kernel, strides, padding)


BOTH = pytest.mark.parametrize(("ours", "native"), [(conv, native_conv), (conv_transpose, native_conv_transpose)])
EVERYWHERE = pytest.mark.parametrize(
    ("ours", "native"),
    [
        (conv, native_conv),
        (conv_transpose, native_conv_transpose),
        (conv_transpose_elsewhere, native_conv_transpose),
    ],
)


def draw(size, taps, dtype="float32"):
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=shape).astype(jnp.dtype(dtype)) for shape in ((2, *size, 3), (*taps, 3, 4)))


def value_and_gradients(operation, *given):
    """And what a cotangent of its own at each place pulls back to the given arrays."""
    output, pull_back = jax.vjp(operation, *given)
    cotangent = jnp.sin(1.0 + jnp.arange(output.size)).reshape(output.shape).astype(output.dtype)
    return output, *pull_back(cotangent)


def assert_close(ours, theirs, dtype="float32", convolutions=1):
    """Equality up to the rounding of so many convolutions, one after another, relative to the largest value."""
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    ours, theirs = (np.asarray(array, np.float32) for array in (ours, theirs))
    largest = max(1.0, np.abs(theirs).max(initial=0))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=convolutions * EPSILON[dtype] * largest)


@EVERYWHERE
@given(case=CASES)
@RANDOM
def test_values_and_gradients_are_those_of_lax(ours, native, case):
    image, kernel = draw(case["size"], case["taps"], case["dtype"])
    padding = case["padding"]
    if not isinstance(padding, str):  # with more than k - 1, XLA's gradient of a transposed convolution can be wrong
        padding = [tuple(min(n, k - 1) for n in pair) for k, pair in zip(case["taps"], padding, strict=True)]
        # JAX 0.7.2 refuses to cut off more than there is.
        assume(
            all(size + min(0, low) + min(0, high) >= 0 for size, (low, high) in zip(case["size"], padding, strict=True))
        )

    @jax.jit
    def both(*given):
        options = {"strides": case["strides"], "padding": padding}
        return [value_and_gradients(partial(operation, **options), *given) for operation in (ours, native)]

    results = both(image, kernel)
    for result, expected in zip(*results, strict=True):
        assert_close(result, expected, case["dtype"])


@EVERYWHERE
@pytest.mark.parametrize(("taps", "strides"), [((4, 4), (2, 2)), ((3, 3), (2, 2)), ((3, 2), (1, 1)), ((1, 1), (1, 1))])
@pytest.mark.usefixtures("optimized")
def test_the_gradient_of_a_gradient_penalty_is_that_of_lax(ours, native, taps, strides):
    def gradients(operation, image, kernel):
        def penalty(image, kernel):
            inner = jax.grad(lambda image: jnp.tanh(operation(image, kernel, strides, "SAME")).sum())
            return jnp.square(inner(image)).sum()

        return jax.grad(penalty, argnums=(0, 1))(image, kernel)

    both = jax.jit(lambda *given: [gradients(ours, *given), gradients(native, *given)])
    for result, expected in zip(*both(*draw((7, 8), taps)), strict=True):
        assert_close(result, expected, convolutions=3)


@pytest.mark.parametrize("moving", [(0,), (1,), (0, 1)])
def test_forward_derivatives_of_a_transposed_convolution_are_the_same_elsewhere(moving):
    given, towards = draw((5, 6), (4, 3)), draw((5, 6), (4, 3))

    @jax.jit
    def both(*given):
        def derivative(operation):
            def moved(*part):
                whole = [*given]
                for place, array in zip(moving, part, strict=True):
                    whole[place] = array
                return operation(*whole, (2, 3), ((1, 2), (3, 0)))

            return jax.jvp(moved, [given[place] for place in moving], [towards[place] for place in moving])

        return derivative(conv_transpose_elsewhere), derivative(native_conv_transpose)

    for ours, expected in zip(*both(*given), strict=True):
        assert_close(ours, expected)


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_the_weights_gradient_of_a_transposed_convolution_is_elsewhere_that_of_a_strided_one(platform):
    image, kernel = draw((6, 8), (4, 4))
    gradient = jax.jit(jax.grad(lambda kernel: conv_transpose(image, kernel, (2, 2)).sum()))
    operations = export.export(gradient, platforms=[platform])(kernel).mlir_module()
    assert "rhs_dilate = [2, 2]" in operations  # the image between the taps of the cotangent
    assert "lhs_dilate = [2, 2]" not in operations


@BOTH
def test_every_transformation_gives_the_same_images(ours, native):
    image, kernel = draw((6, 8), (4, 4))
    images, kernels = np.stack([image, 2 * image, -image]), np.stack([kernel, 2 * kernel])
    one = partial(ours, strides=(2, 2), padding="SAME")
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.PartitionSpec("batch")

    @jax.jit
    def everything(images, kernels):
        image, kernel = images[0], kernels[0]
        return {
            "expected": [native(image, kernel, (2, 2), "SAME") for image in images],
            "images": jax.vmap(lambda image: one(image, kernel))(images),
            "one after another": lax.scan(lambda _, image: (None, one(image, kernel)), None, images)[1],
            "devices": jax.shard_map(one, mesh=mesh, in_specs=(split, None), out_specs=split)(image, kernel),
            "kernels": jax.vmap(lambda kernel: one(image, kernel))(kernels),
        }

    told = everything(images, kernels)
    expected = np.stack(told["expected"])
    assert_close(told["images"], expected)
    assert_close(told["one after another"], expected)
    assert_close(told["devices"], expected[0])
    assert_close(told["kernels"], expected[:2])


@BOTH
def test_an_exported_function_is_native_everywhere_but_on_the_cpu(ours, native):
    image, kernel = draw((6, 8), (4, 4))
    (batch,) = export.symbolic_shape("B")
    shapes = jax.ShapeDtypeStruct((batch, *image.shape[1:]), image.dtype), kernel
    function = jax.jit(lambda image, kernel: ours(image, kernel, (2, 2), "SAME"))
    gradient = jax.jit(jax.grad(lambda *both: jnp.square(function(*both)).sum(), argnums=(0, 1)))
    assert "stablehlo.convolution" not in export.export(gradient, platforms=["cpu"])(image, kernel).mlir_module()
    programs = {name: export.export(function, platforms=[name])(*shapes) for name in ("cpu", "cuda", "tpu")}
    for name, program in programs.items():
        operations = program.mlir_module()
        assert ("stablehlo.convolution" in operations) == (name != "cpu")
        assert ("stablehlo.dot_general" in operations) == (name == "cpu")
    everywhere = export.deserialize(export.export(function, platforms=list(programs))(*shapes).serialize())
    expected = jax.jit(partial(native, strides=(2, 2), padding="SAME"))(image, kernel)
    assert_close(everywhere.call(image, kernel), expected)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_padding_is_zeros_around_the_image_however_many(strides):
    image, kernel = draw((5, 4), (3, 3))
    pads = ((2, 5), (4, 0))

    def padded(image):
        return conv(jnp.pad(image, ((0, 0), *pads, (0, 0))), kernel, strides, "VALID")

    def dilated(image):
        rows, columns = (n * s - s + 1 for n, s in zip(image.shape[1:3], strides, strict=True))
        spread = jnp.zeros((2, rows, columns, 3)).at[:, :: strides[0], :: strides[1]].set(image)
        return conv(spread, kernel, (1, 1), pads)

    def pairs(image):
        return [
            [value_and_gradients(operation, image) for operation in pair]
            for pair in (
                (lambda image: conv(image, kernel, strides, pads), padded),
                (lambda image: conv_transpose(image, kernel, strides, pads), dilated),
            )
        ]

    for ours, by_hand in jax.jit(pairs)(image):
        for result, expected in zip(ours, by_hand, strict=True):
            assert_close(result, expected)


def test_a_dilated_kernel_is_one_with_zeros_between_its_taps():
    image, kernel = draw((9, 9), (3, 2))
    spread = np.zeros((5, 4, *kernel.shape[2:]), np.float32)
    spread[::2, ::3] = kernel

    @jax.jit
    def pairs(image, kernel, spread):
        return [
            (conv(image, kernel, strides, padding, (2, 3)), conv(image, spread, strides, padding))
            for padding in ("SAME", "VALID", ((1, 0), (2, 1)))
            for strides in ((1, 1), (2, 1))
        ]

    for dilated, plain in pairs(image, kernel, spread):
        assert_close(dilated, plain)


@pytest.mark.parametrize("operation", [conv, conv_transpose])
@pytest.mark.parametrize(
    ("image", "options", "told"),
    [
        (jnp.zeros((2, 8, 8, 4)), {}, r"float32\[2, 8, 8, 4\] and a kernel float32\[4, 4, 3, 5\]; expected \[B, H"),
        (jnp.zeros((8, 8, 3)), {}, r"float32\[8, 8, 3\] and a kernel float32\[4, 4, 3, 5\]"),
        (jnp.zeros((2, 8, 8, 3), jnp.bfloat16), {}, r"bfloat16\[2, 8, 8, 3\] .* expected one floating-point type"),
        (jnp.zeros((2, 8, 8, 3)), {"strides": (0, 1)}, r"strides=\(0, 1\) for an image .* two whole numbers"),
        (jnp.zeros((2, 8, 8, 3)), {"strides": 2}, r"strides=2 for an image"),
        (jnp.zeros((2, 8, 8, 3)), {"padding": "CIRCULAR"}, r"padding='CIRCULAR' for .* 'SAME', 'VALID' or"),
        (jnp.zeros((2, 8, 8, 3)), {"padding": (1, 1)}, r"padding=\(1, 1\) for .*\[2, 8, 8, 3\].*\[4, 4, 3, 5\]"),
    ],
)
def test_what_does_not_fit_is_told_with_both_shapes(operation, image, options, told):
    with pytest.raises(ValueError, match=told):
        operation(image, jnp.zeros((4, 4, 3, 5)), **options)


def test_a_dilation_that_is_no_pair_is_told():
    with pytest.raises(ValueError, match=r"kernel_dilation=\(2, 0\) for an image"):
        conv(*draw((8, 8), (3, 3)), kernel_dilation=(2, 0))


@pytest.mark.parametrize("layer", [Conv, ConvTranspose])
def test_a_layer_is_its_function_plus_a_bias_in_its_own_precision(layer):
    operation = {Conv: conv, ConvTranspose: conv_transpose}[layer]
    image, _ = draw((8, 8), (4, 4))
    module = layer(5, (4, 4), (2, 2), bias_init=jax.nn.initializers.normal())

    @jax.jit
    def run(image):
        output, variables = module.init_with_output(jax.random.key(0), image)
        params = variables["params"]
        return output, operation(image, params["kernel"], (2, 2), "SAME") + params["bias"], variables

    output, expected, variables = run(image)
    params = variables["params"]
    assert params["bias"].any()
    np.testing.assert_allclose(output, expected, rtol=1e-6)
    assert jax.eval_shape(module.clone(dtype=jnp.bfloat16).apply, variables, image).dtype == jnp.bfloat16
    assert params["kernel"].dtype == jnp.float32


@pytest.mark.agreement
@pytest.mark.parametrize("operation", [conv, conv_transpose])
@given(case=CASES, pad=st.integers(0, 3))
@settings(RANDOM, max_examples=6)  # that strides, taps and edges go together in every way is shown with those of lax
def test_values_and_gradients_are_those_of_pytorch(torch, operation, case, pad):
    taps, strides = case["taps"], case["strides"]
    pad = min(pad, *(tap - 1 for tap in taps))
    image, kernel = draw([side + max(taps) for side in case["size"]], taps)
    their_image, their_kernel = (torch.from_numpy(np.array(array)).requires_grad_() for array in (image, kernel))
    if operation is conv:
        pads = [(pad, pad), (pad, pad)]
        peer, weight = torch.nn.functional.conv2d, their_kernel.permute(3, 2, 0, 1)
    else:  # PyTorch's transposed convolution is the transpose of its convolution: its kernel is flipped
        pads = [(tap - 1 - pad, tap - 1 - pad) for tap in taps]
        peer, weight = torch.nn.functional.conv_transpose2d, their_kernel.flip(0, 1).permute(2, 3, 0, 1)
    expected = peer(their_image.permute(0, 3, 1, 2), weight, stride=strides, padding=pad).permute(0, 2, 3, 1)
    cotangent = torch.sin(1.0 + torch.arange(expected.numel())).reshape(expected.shape)
    their_gradients = torch.autograd.grad(expected, (their_image, their_kernel), cotangent)

    results = jax.jit(partial(value_and_gradients, lambda *both: operation(*both, strides, pads)))(image, kernel)
    for ours, theirs in zip(results, (expected, *their_gradients), strict=True):
        assert_close(ours, theirs.detach().numpy())
