"""Networks compute in the type that they are told; their parameters and what they give stay float32."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec, nets
from jaxgen.nets import Place, dense_outputs, empty_memory, forward, recall
from tests.nets.variables import normal, shapes, variables_like, variables_of

SPEC, SMALL, MAP = ImageSpec(28, 28, 1), ImageSpec(8, 8, 3), ImageSpec(8, 8, 5)
STYLE = nets.StyleGenerator(SPEC, 2, 4, 1)
LADDER = nets.LadderDecoder(MAP, 2, 2, (1, 1), 2, 0, 4)
PIXELS = nets.GatedPixelCNN(3, 4, (2,)), nets.PixelCNNPlusPlus(3, 4, levels=2, blocks=1)


LATENT, CONDITION, DIGITS, IMAGES = normal(2, 4), normal(2, 3), normal(2, *SPEC), normal(2, *SMALL)
CASES = [
    (nets.DCGANGenerator(SPEC, 2, conditional_norm=True), LATENT, CONDITION),
    (nets.DCGANDiscriminator(2), DIGITS, CONDITION),
    (nets.ResidualGenerator(SPEC, 2), LATENT, CONDITION),
    (nets.ResidualDiscriminator(2), DIGITS, CONDITION),
    (nets.R3GANGenerator(SPEC, 2), LATENT, CONDITION),
    (nets.R3GANDiscriminator(2), DIGITS, CONDITION),
    (STYLE, normal(2, STYLE.latent_size), CONDITION),
    (nets.PatchDiscriminator(2), DIGITS, DIGITS),
    (nets.MLPEncoder(2, (4, 4)), IMAGES, CONDITION),
    (nets.MLPDecoder(MAP, (4, 4)), LATENT, CONDITION),
    (nets.ConvEncoder(2, 2), IMAGES, CONDITION),
    (nets.ConvDecoder(MAP, 2), LATENT, CONDITION),
    (nets.ResidualEncoder(2, 2, 1, 4), IMAGES, CONDITION),
    (nets.ResidualDecoder(MAP, 2, 1, 4), LATENT, CONDITION),
    (nets.LadderEncoder(2, 1, 4), IMAGES),
    (LADDER, tuple(normal(2, *shape) for shape in LADDER.latents), (normal(2, 4, 4, 2), normal(2, 2, 2, 4), LATENT)),
    (nets.MapEncoder(2, 2, 1), IMAGES),
    (nets.MapDecoder(MAP, 2, 1), normal(2, 2, 2, 4)),
    (nets.UNet(3, 2, levels=1, halving="pool"), IMAGES, CONDITION),
    (nets.ClassicCNN(3, 2, 4), IMAGES, CONDITION),
    *((network, IMAGES, CONDITION) for network in PIXELS),
    (nets.TextEncoder(7, 8, heads=2), np.array([[2, 3, 0], [5, 0, 0]])),
    (nets.PyramidEncoder(2), IMAGES),
    (nets.PyramidDecoder(3, 2), normal(2, 2, 2, 4)),
    (nets.DiT(3, 4, 2), IMAGES, CONDITION, {"noise_level": np.array([0.0, 0.4])}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: type(case[0]).__name__)
def test_a_network_in_bfloat16_is_about_the_one_in_float32(case):
    network, *given = case
    options = {"train": False} | (given.pop() if isinstance(given[-1], dict) else {})
    coarse = network.clone(dtype=jnp.bfloat16)
    fine = shapes(network, *given, **options)
    assert jax.tree.leaves(shapes(coarse, *given, **options)) == jax.tree.leaves(fine)
    variables = variables_like(fine)

    def run(variables, *given):
        return [forward(one, variables, *given, **options)[0] for one in (network, coarse)]

    expected, found = map(jax.tree.leaves, jax.jit(run)(variables, *given))
    assert {leaf.dtype for leaf in expected + found} == {jnp.dtype(jnp.float32)}
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        # 8 bits of each number are kept.
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.05 * np.abs(theirs).max())
    assert any((ours != theirs).any() for ours, theirs in zip(found, expected, strict=True))


@pytest.mark.parametrize("network", PIXELS, ids=lambda network: type(network).__name__)
def test_what_a_network_in_bfloat16_remembers_of_a_row_has_the_types_of_its_memory(network):
    network = network.clone(dtype=jnp.bfloat16)
    variables = variables_of(network, IMAGES)
    memory = jax.eval_shape(partial(empty_memory, network), variables, IMAGES)
    row = jnp.zeros((2, 1, 8, 4))
    _, after = jax.eval_shape(
        lambda memory: recall(network, variables, memory, row, place=Place(0), method="down"), memory
    )
    assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(lambda leaf: leaf.dtype, memory)


def test_what_dense_layers_put_out_is_told_in_float32():
    network = nets.MLPDecoder(MAP, (4,), dtype=jnp.bfloat16)
    outputs = jax.eval_shape(
        partial(dense_outputs, network, train=False), variables_of(network, LATENT, CONDITION), LATENT, CONDITION
    )
    assert [(output.shape, output.dtype) for output in outputs] == [((2, 4), jnp.float32), ((2, 320), jnp.float32)]
