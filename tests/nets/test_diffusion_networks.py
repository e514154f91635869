import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.nets import DiffusionUNet, DiT, TextEncoder, WithText, forward
from jaxgen.nets.diffusion.dit import from_patches, to_patches
from tests.models.programs import networks_like

IMAGE = jax.random.normal(jax.random.key(0), (2, 6, 8, 3))
LEVEL = jnp.array([0.2, 0.9])
NETWORKS = {"dit": DiT(3, 4, 2), "unet": DiffusionUNet(4, (1, 2), attended=4)}

each_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())


def variables_of(network, *condition, seed=0):
    inputs = IMAGE, *condition
    return networks_like(lambda: network.init(jax.random.key(0), *inputs, train=False, noise_level=LEVEL), seed)


def output(network, variables, *condition, image=IMAGE, level=LEVEL):
    return forward(network, variables, image, *condition, train=False, noise_level=level)[0]


def test_patches_are_parts_of_the_image_and_go_back():
    patches = to_patches(IMAGE, 3)
    assert patches.shape == (2, 6, 27)  # two columns more than the image has
    np.testing.assert_array_equal(patches[1, 4].reshape(3, 3, 3), IMAGE[1, 3:6, 3:6])
    assert not patches[1, 5].reshape(3, 3, 3)[:, 2].any()
    np.testing.assert_array_equal(from_patches(patches, 3, IMAGE.shape), IMAGE)


@each_network
def test_at_first_the_output_is_zero_and_blocks_are_not_modulated(network):
    variables = jax.jit(lambda: network.init(jax.random.key(0), IMAGE, train=False, noise_level=LEVEL))()
    assert not output(network, variables).any()
    block = variables["params"]["ScanBlock_0" if isinstance(network, DiT) else "Block_0"]
    assert not any(leaf.any() for leaf in jax.tree.leaves(block["Dense_0"]))


@each_network
def test_an_output_depends_on_every_place_the_level_and_the_condition(network):
    condition = jnp.eye(2, 3)
    variables = variables_of(network, condition)
    run = jax.jit(lambda *inputs: output(network, variables, inputs[1], image=inputs[0], level=inputs[2]))
    plain = run(IMAGE, condition, LEVEL)
    assert plain.shape == IMAGE.shape
    for other in (
        run(IMAGE.at[0, 0, 0].add(1.0), condition, LEVEL),
        run(IMAGE, condition.at[0].set(0), LEVEL),
        run(IMAGE, condition, LEVEL.at[0].set(0.3)),
    ):
        changed = (other != plain).any((1, 2, 3))
        assert changed.tolist() == [True, False]
    moved = run(IMAGE.at[0, 0, 0].add(1.0), condition, LEVEL)
    assert (moved[0] != plain[0])[3:, 6:].any()  # the places that are furthest away


@each_network
def test_the_null_condition_is_the_network_without_a_condition(network):
    variables = variables_of(network, jnp.zeros((2, 3)))
    run = jax.jit(lambda *condition: output(network, variables, *condition))
    np.testing.assert_array_equal(run(jnp.zeros((2, 3))), run())


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


@pytest.mark.parametrize("width", [1, 131, 192])
def test_a_transformer_may_have_any_width(width):
    network = DiT(3, width, 1)
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), IMAGE, train=False, noise_level=LEVEL))
    assert jax.eval_shape(lambda v: output(network, v), shapes).shape == IMAGE.shape


def test_sides_that_a_unet_cannot_halve_are_refused():
    with pytest.raises(InputError, match="multiples of 4"):
        jax.eval_shape(
            lambda: DiffusionUNet(4).init(jax.random.key(0), IMAGE[:, :, :6], train=False, noise_level=LEVEL)
        )
