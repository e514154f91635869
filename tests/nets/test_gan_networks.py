"""Residual, modern and style-based networks, and what they are made of."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import export, lax

from jaxgen import ImageSpec, InputError
from jaxgen.models import mix_styles
from jaxgen.nets import (
    ConditionalBatchNorm,
    DCGANDiscriminator,
    DCGANGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
    ResidualDiscriminator,
    ResidualGenerator,
    StyleGenerator,
    forward,
)
from jaxgen.nets.gan.r3gan import Block
from jaxgen.nets.gan.residual import normalized
from jaxgen.nets.gan.style import StyledConv
from jaxgen.nets.layers.resizing import grouped_conv, mean_pool, smooth_downsample, smooth_upsample
from tests.nets.variables import normal, shapes, variables_like, variables_of

MAP = normal(2, 6, 8, 4)
SPEC = ImageSpec(28, 28, 1)
STYLE = StyleGenerator(SPEC, width=4, style_size=8, depth=2)


def test_smooth_resizing_is_bilinear_and_binomial():
    @jax.jit
    def resized(image):
        bilinear = jax.image.resize(image, (2, 12, 16, 4), "linear")
        return smooth_upsample(image), bilinear, smooth_downsample(image), mean_pool(image)

    larger, bilinear, smaller, mean = map(np.asarray, resized(MAP))
    np.testing.assert_allclose(larger, bilinear, rtol=1e-5, atol=1e-6)
    taps = np.array([1, 3, 3, 1]) / 8
    padded = np.pad(MAP, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    for y, x in np.ndindex(3, 4):
        window = padded[:, 2 * y : 2 * y + 4, 2 * x : 2 * x + 4]
        np.testing.assert_allclose(
            smaller[:, y, x], np.einsum("byxc,y,x->bc", window, taps, taps), rtol=1e-4, atol=1e-5
        )
    np.testing.assert_allclose(mean[0, 1, 2], MAP[0, 2:4, 4:6].mean((0, 1)), rtol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_see_themselves_alone(groups):
    kernel = normal(3, 3, 4 // groups, 8, seed=1)

    def native(image, kernel):
        return lax.conv_general_dilated(
            image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
        )

    def ours(image, kernel):
        return grouped_conv(image, kernel, groups)

    def with_gradients(operation, *given):
        return operation(*given), *jax.grad(lambda *given: jnp.sin(operation(*given)).sum(), (0, 1))(*given)

    both = jax.jit(lambda *given: [with_gradients(operation, *given) for operation in (ours, native)])
    (found, *gradients), (expected, *their_gradients) = both(MAP, kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    for gradient, theirs in zip(gradients, their_gradients, strict=True):
        np.testing.assert_allclose(gradient, theirs, rtol=1e-3, atol=1e-3)


def test_groups_are_one_product_on_the_cpu_and_native_elsewhere():
    kernel = normal(3, 3, 2, 8, seed=1)
    gradient = jax.jit(jax.grad(lambda image: jnp.square(grouped_conv(image, kernel, 2)).sum()))
    programs = {name: export.export(gradient, platforms=[name])(MAP).mlir_module() for name in ("cpu", "cuda", "tpu")}
    for name, operations in programs.items():
        assert ("feature_group_count = 2" in operations) == (name != "cpu")
        assert ("stablehlo.dot_general" in operations) == (name == "cpu")


def test_spectral_normalisation_divides_by_the_largest_singular_value():
    class Layer(nn.Module):
        @nn.compact
        def __call__(self, features, *, train):
            return normalized(nn.Dense(5, use_bias=False), spectral=True, train=train)(features)

    @jax.jit
    def train(variables):
        _, changes = forward(Layer(), variables, jnp.zeros((1, 7)), train=True)
        return {**variables, **changes}

    variables = jax.jit(partial(Layer().init, train=False))(jax.random.key(0), jnp.zeros((1, 7)))
    for _ in range(50):
        variables = train(variables)
    (kernel,) = map(np.asarray, jax.tree.leaves(variables["params"]))
    output, _ = jax.jit(partial(forward, Layer(), train=False))(variables, np.eye(7, dtype=np.float32))
    np.testing.assert_allclose(output, kernel / np.linalg.svd(kernel)[1].max(), rtol=1e-3, atol=1e-4)


def test_a_condition_scales_and_shifts_what_was_normalised():
    layer, condition = ConditionalBatchNorm(train=True), np.eye(2, dtype=np.float32)
    variables = jax.jit(layer.init)(jax.random.key(0), MAP, condition)
    run = jax.jit(lambda variables: layer.apply(variables, MAP, condition, mutable=["batch_stats"]))
    plain, _ = run(variables)
    expected = (MAP - MAP.mean((0, 1, 2))) / np.sqrt(MAP.var((0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(plain, expected, rtol=1e-3, atol=1e-4)  # at first conditions do nothing
    params = jax.tree.map(np.zeros_like, variables["params"])
    params["Dense_0"]["kernel"] = np.float32([[2.0] * 4, [3.0] * 4])
    params["Dense_1"]["kernel"] = np.float32([[0.0] * 4, [1.0] * 4])
    scaled, _ = run({**variables, "params": params})
    np.testing.assert_allclose(scaled[0], 2 * expected[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(scaled[1], 3 * expected[1] + 1, rtol=1e-3, atol=1e-3)


def test_the_size_of_a_spectrally_normalised_projection_does_not_matter():
    network, image, conditions = ResidualDiscriminator(2), normal(3, *SPEC), np.eye(3, dtype=np.float32)
    variables = variables_of(network, image, conditions)
    larger = jax.tree.map(lambda leaf: leaf, variables)
    larger["params"]["projection"]["kernel"] = 7 * variables["params"]["projection"]["kernel"]
    judge = jax.jit(lambda variables, given: forward(network, variables, image, given, train=False)[0])
    expected = np.asarray(judge(variables, conditions))
    np.testing.assert_allclose(judge(larger, conditions), expected, rtol=1e-4, atol=1e-5)
    assert (np.abs(expected - judge(variables, 0 * conditions)) > 1e-4).all()


@pytest.mark.parametrize(
    "network", [DCGANDiscriminator(2), ResidualDiscriminator(2, spectral=False), R3GANDiscriminator(8)]
)
def test_a_projection_adds_the_conditions_product_with_the_features(network):
    image, conditions = normal(3, *SPEC), np.eye(3, dtype=np.float32)
    variables = variables_of(network, image, conditions)
    compiled = jax.jit(lambda variables, given: forward(network, variables, image, given, train=False)[0])

    def judge(*given):
        return np.asarray(compiled(*given))

    one, other = (judge(variables, np.broadcast_to(conditions[k], (3, 3))) for k in (0, 1))
    embedding = variables["params"]["projection"]["kernel"]
    variables["params"]["projection"]["kernel"] = np.zeros_like(embedding)
    plain = judge(variables, conditions)
    total = (conditions[0] + conditions[1])[None].repeat(3, 0)
    variables["params"]["projection"]["kernel"] = embedding
    both = judge(variables, total)
    np.testing.assert_allclose(both - plain, (one - plain) + (other - plain), rtol=1e-3, atol=1e-5)  # linear in it
    assert np.abs(one - plain).max() > 1e-6


@pytest.mark.parametrize("conditional_norm", [True, False])
def test_a_dcgan_draws_what_it_is_told(conditional_norm):
    generator = DCGANGenerator(SPEC, 2, conditional_norm=conditional_norm)
    latent, condition = np.ones((2, 3), np.float32), np.eye(2, dtype=np.float32)
    variables = variables_of(generator, latent, condition)
    images, _ = jax.jit(partial(forward, generator, train=False))(variables, latent, condition)
    assert jnp.abs(images[0] - images[1]).max() > 1e-3


def test_a_channel_tells_the_discriminator_the_condition():
    network = DCGANDiscriminator(2, conditioning="concatenation", normalize=False)
    image, condition = np.zeros((2, *SPEC), np.float32), np.eye(2, dtype=np.float32)
    variables = variables_of(network, image, condition)
    assert variables["params"]["Conv_0"]["kernel"].shape[2] == 2
    logits, _ = jax.jit(partial(forward, network, train=False))(variables, image, condition)
    assert logits[0] != logits[1]


def test_a_condition_is_told_in_no_third_way():
    network = DCGANDiscriminator(2, conditioning="concat")
    with pytest.raises(ValueError, match="conditioning='concat'; expected 'projection' or 'concatenation'"):
        jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((2, *SPEC)), train=False))


@pytest.mark.parametrize("spec", [ImageSpec(28, 28, 1), ImageSpec(32, 32, 3), ImageSpec(64, 64, 3)])
@pytest.mark.parametrize("conditional", [False, True])
def test_networks_are_of_any_size(spec, conditional):
    condition = (jnp.zeros((2, 5)),) if conditional else ()
    style = StyleGenerator(spec, 4, 8)
    generators = [(ResidualGenerator(spec, 4), 3), (R3GANGenerator(spec, 8), 3), (style, style.latent_size)]
    for generator, size in generators:
        images, _ = jax.eval_shape(
            lambda g=generator, s=size: g.init_with_output(
                jax.random.key(0), jnp.zeros((2, s)), *condition, train=False
            )
        )
        assert images.shape == (2, *spec)
    for discriminator in (ResidualDiscriminator(4), R3GANDiscriminator(8)):
        logits, _ = jax.eval_shape(
            lambda d=discriminator: d.init_with_output(
                jax.random.key(0), jnp.zeros((2, *spec)), *condition, train=False
            )
        )
        assert logits.shape == (2,)


def test_modern_blocks_are_the_identity_at_first():
    block = Block(scale=4)
    variables, run = jax.jit(block.init)(jax.random.key(0), MAP), jax.jit(block.apply)
    np.testing.assert_array_equal(run(variables, MAP), MAP)
    changed = jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.1), variables)
    assert np.abs(run(changed, MAP) - MAP).max() > 0.01


@pytest.mark.parametrize(("width", "group"), [(5, 10), (6, 12), (12, 12), (20, 10), (28, 14), (32, 16), (34, 4)])
def test_modern_blocks_have_the_largest_groups_up_to_16_that_divide_their_channels(width, group):
    shape = jax.ShapeDtypeStruct((1, 4, 4, width), jnp.float32)
    image, variables = jax.eval_shape(lambda image: Block(scale=4).init_with_output(jax.random.key(0), image), shape)
    assert image.shape == shape.shape
    assert variables["params"]["kernel"].shape == (3, 3, group, 2 * width)


def test_demodulation_keeps_the_scale_of_white_noise():
    layer = StyledConv(16)
    noise, w = normal(4, 32, 32, 8), np.float32([[0.0], [1.0], [5.0], [-20.0]])
    output, _ = jax.jit(layer.init_with_output)(jax.random.key(0), noise, w)
    inside = np.asarray(output)[:, 1:-1, 1:-1]
    np.testing.assert_allclose(inside.std((1, 2, 3)), 1, rtol=0.1)  # whatever the style


def test_modulation_is_that_of_the_weights():
    layer = StyledConv(3, demodulate=False)
    w = normal(2, 5)

    def one_by_one(variables):
        params = variables["params"]
        scale = w @ params["style"]["kernel"] + params["style"]["bias"]
        for image, own in zip(MAP, scale, strict=True):
            kernel = params["kernel"] * own[:, None]
            yield (
                lax.conv_general_dilated(
                    image[None], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )[0]
                + params["bias"]
            )

    both = jax.jit(lambda variables: (layer.apply(variables, MAP, w), list(one_by_one(variables))))
    for image, expected in zip(*both(variables_like(shapes(layer, MAP, w))), strict=True):
        np.testing.assert_allclose(image, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def styled():
    """Styles, images drawn with and without mixing, and what the styles alone make."""
    latent = normal(400, STYLE.latent_size)

    # Compiled as a whole: one operation after another takes far longer.
    @jax.jit
    def draw(variables):
        w = STYLE.apply(variables, latent[:, :8], method="styles")
        mixed, plain = (forward(STYLE, variables, latent, train=train)[0] for train in (True, False))
        return w, mixed, plain, STYLE.apply(variables, w, latent, method="synthesize")

    return [np.asarray(array) for array in draw(variables_of(STYLE, latent))]


def test_a_styles_layers_are_those_of_its_two_parents(styled):
    w, _, plain, whole = styled
    assert w.shape == (400, 5, 8)
    content, style = w[:1], w[1:2]
    for layer in range(6):
        mixed = mix_styles(content, style, layer)
        np.testing.assert_array_equal(mixed[:, :layer], content[:, :layer])
        np.testing.assert_array_equal(mixed[:, layer:], style[:, layer:])
    np.testing.assert_allclose(whole, plain, rtol=1e-5, atol=1e-6)


def test_training_mixes_nine_tenths_of_the_images(styled):
    _, mixed, plain, _ = styled
    place = np.asarray(normal(400, STYLE.latent_size))[:, 2 * 8]
    is_mixed = scipy.stats.norm.cdf(place) < 0.9
    difference = np.abs(mixed - plain).max((1, 2, 3))
    rounding = 1e-5 * np.abs(plain).max()  # training and drawing are not compiled alike
    np.testing.assert_array_equal(difference > rounding, is_mixed)


@pytest.mark.parametrize("layer", [-1, 6])
def test_layers_that_do_not_exist_are_refused(layer):
    with pytest.raises(InputError, match=f"layer {layer}: expected 0 to 5"):
        mix_styles(jnp.zeros((1, 5, 8)), jnp.zeros((1, 5, 8)), layer)
