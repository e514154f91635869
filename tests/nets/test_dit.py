import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nets import DiT, TextEncoder, WithText, forward
from jaxgen.nets.diffusion.dit import from_patches, to_patches
from tests.models.programs import networks_like

IMAGE = jax.random.normal(jax.random.key(0), (2, 5, 7, 3))
LEVEL = jnp.array([0.2, 0.9])


def variables_of(network, *condition, seed=0):
    inputs = IMAGE, *condition
    return networks_like(lambda: network.init(jax.random.key(0), *inputs, train=False, noise_level=LEVEL), seed)


def output(network, variables, *condition, image=IMAGE, level=LEVEL):
    return forward(network, variables, image, *condition, train=False, noise_level=level)[0]


def test_patches_are_parts_of_the_image_and_go_back():
    patches = to_patches(IMAGE, 3)
    assert patches.shape == (2, 6, 27)
    np.testing.assert_array_equal(patches[1, 4].reshape(3, 3, 3)[:2], IMAGE[1, 3:5, 3:6])
    np.testing.assert_array_equal(from_patches(patches, 3, IMAGE.shape), IMAGE)


def test_at_first_the_output_is_zero_and_every_block_is_the_identity():
    network = DiT(3, 4, 2)
    variables = jax.jit(lambda: network.init(jax.random.key(0), IMAGE, train=False, noise_level=LEVEL))()
    assert not output(network, variables).any()
    assert not any(leaf.any() for leaf in jax.tree.leaves(variables["params"]["ScanBlock_0"]["Dense_0"]))


def test_an_output_depends_on_every_patch_the_level_and_the_condition():
    network, condition = DiT(3, 4, 2), jnp.eye(2, 3)
    variables = variables_of(network, condition)
    run = jax.jit(lambda *inputs: output(network, variables, inputs[1], image=inputs[0], level=inputs[2]))
    plain = run(IMAGE, condition, LEVEL)
    for other in (
        run(IMAGE.at[0, 0, 0].add(1.0), condition, LEVEL),
        run(IMAGE, condition.at[0].set(0), LEVEL),
        run(IMAGE, condition, LEVEL.at[0].set(0.3)),
    ):
        changed = (other != plain).any((1, 2, 3))
        assert changed.tolist() == [True, False]
    moved = run(IMAGE.at[0, 0, 0].add(1.0), condition, LEVEL)
    assert (moved[0] != plain[0])[3:, 6:].any()  # the patch that is furthest away


def test_the_null_condition_is_the_network_without_a_condition():
    network = DiT(3, 4, 2)
    variables = variables_of(network, jnp.zeros((2, 3)))
    np.testing.assert_array_equal(output(network, variables, jnp.zeros((2, 3))), output(network, variables))


def test_the_program_does_not_grow_with_the_number_of_blocks():
    def size(blocks):
        network = DiT(3, 4, blocks)
        variables = variables_of(network)
        return len(str(jax.make_jaxpr(lambda v: output(network, v))(variables)).splitlines())

    assert size(2) == size(7)


def test_text_conditions_it():
    network, tokens = WithText(DiT(3, 4, 1), TextEncoder(7, 8, heads=2)), jnp.array([[2, 3], [5, 0]])
    variables = variables_of(network, tokens)
    assert (output(network, variables, tokens) != output(network, variables, tokens[::-1])).any()


def test_a_width_that_is_no_multiple_of_the_heads_is_refused():
    with pytest.raises(ValueError, match="width of 131; expected an even multiple of its 2 heads"):
        jax.eval_shape(lambda: DiT(3, 131).init(jax.random.key(0), IMAGE, train=False, noise_level=LEVEL))
