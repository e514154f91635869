"""The second time of a diffusion transformer."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.nets import DiT
from tests.nets.variables import normal, shapes, variables_like

IMAGES, LEVELS = normal(2, 6, 6, 1), jnp.array([0.2, 0.9])


def test_no_interval_is_one_of_length_zero_and_others_change_the_output():
    network = DiT(patch=3, width=8, blocks=1, intervals=True)
    variables = variables_like(shapes(network, IMAGES, train=False, noise_level=LEVELS))

    def outputs(interval):
        return network.apply(variables, IMAGES, train=False, noise_level=LEVELS, interval=interval)

    none, zero, long = (jax.jit(outputs)(interval) for interval in (None, jnp.zeros(2), LEVELS))
    np.testing.assert_array_equal(none, zero)
    assert jnp.abs(none - long).max() > 1e-3
