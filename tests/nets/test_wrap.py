"""Circular padding: layers and a network commute with circular shifts by their stride."""

from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgen.nets import Conv, ConvMeanPool, ConvTranspose, DiffusionUNet, UpsampleConv, forward
from tests.models.programs import networks_like
from tests.nets.variables import normal, shapes, variables_like

BOTH, COLUMNS = (True, True), (False, True)
LAYERS = {
    "conv": Conv(3, (3, 4)),
    "strided": Conv(3, (4, 3), (2, 2)),
    "dilated": Conv(3, (3, 3), kernel_dilation=(2, 1)),
    "transposed": ConvTranspose(3, (4, 5), (2, 2)),
    "transposed by 3": ConvTranspose(3, (4, 7), (3, 3)),
    "upsampling": UpsampleConv(3, (3, 5)),
    "pooling": ConvMeanPool(3, (3, 3)),
}
IMAGE = normal(2, 6, 8, 2)
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}  # of a hundred terms of about one


def elsewhere(*given, cpu, default):
    """What other devices than a CPU compute."""
    return default(*given)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_a_layer_is_that_of_an_image_repeated_beyond_its_edges(layer):
    variables = variables_like(shapes(layer, IMAGE))

    @jax.jit
    def outputs(variables, image):
        zeros = layer.apply(variables, image)
        tall, wide = zeros.shape[1:3]
        torus, cylinder = (layer.clone(wrap=wrap).apply(variables, image) for wrap in (BOTH, COLUMNS))
        around, beside = (layer.apply(variables, jnp.tile(image, (1, rows, 3, 1))) for rows in (3, 1))
        return torus, cylinder, around[:, tall : 2 * tall, wide : 2 * wide], beside[:, :, wide : 2 * wide], zeros

    torus, cylinder, around, beside, zeros = outputs(variables, IMAGE)
    np.testing.assert_allclose(torus, around, **ROUNDING)
    np.testing.assert_allclose(cylinder, beside, **ROUNDING)
    for one, other in ((torus, cylinder), (cylinder, zeros)):
        assert abs(one - other).max() > 0.1
    with patch.object(lax, "platform_dependent", elsewhere):
        np.testing.assert_allclose(layer.clone(wrap=BOTH).apply(variables, IMAGE), torus, **ROUNDING)


@pytest.mark.parametrize("wrap", [BOTH, COLUMNS])
def test_a_network_commutes_with_circular_shifts_by_its_stride(wrap):
    image, level = jax.random.normal(jax.random.key(0), (2, 8, 12, 3)), jnp.array([0.2, 0.9])
    plain = DiffusionUNet(4, (1, 2), attended=0, folded=True)
    variables = networks_like(lambda: plain.init(jax.random.key(0), image, train=False, noise_level=level))
    network = plain.clone(wrap=wrap)

    @jax.jit
    def run(image):
        return forward(network, variables, image, train=False, noise_level=level)[0]

    output, down, right = run(image), (4, 0), (0, 8)
    for shift, commutes in ((right, True), (down, wrap[0]), ((0, 2), False)):
        moved, expected = run(jnp.roll(image, shift, (1, 2))), jnp.roll(output, shift, (1, 2))
        difference = abs(moved - expected).max() / abs(output).max()
        assert (difference < 1e-4) if commutes else (difference > 1e-2)  # a network of 20 layers, in another order


@pytest.mark.parametrize(
    "layer",
    [
        Conv(3, (4, 4), (4, 4), wrap=BOTH),
        Conv(3, (3, 3), padding="VALID", wrap=COLUMNS),
        ConvTranspose(3, (3, 3), (2, 2), "VALID", wrap=BOTH),
    ],
)
def test_what_has_no_circular_form_is_refused(layer):
    with pytest.raises(ValueError, match="does not scale sides by its strides"):
        jax.eval_shape(lambda: layer.init(jax.random.key(0), IMAGE))
