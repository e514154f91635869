"""Changes of size are those that the field's libraries make."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nets.layers.resizing import enlarge, max_pool, upsample

IMAGE = jax.random.normal(jax.random.key(0), (2, 6, 8, 4))


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        (max_pool, lambda image: nn.max_pool(image, (2, 2), (2, 2))),
        (upsample, lambda image: jnp.repeat(jnp.repeat(image, 2, axis=1), 2, axis=2)),
    ],
)
def test_values_and_gradients_are_those_of_the_plain_operation(ours, other):
    (value, pull), (expected, pull_expected) = jax.vjp(ours, IMAGE), jax.vjp(other, IMAGE)
    # Whole numbers, whose sums are the same in any order.
    cotangent = jax.random.randint(jax.random.key(1), value.shape, -9, 10).astype(jnp.float32)
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(pull(cotangent)[0], pull_expected(cotangent)[0])


def test_depth_to_space_puts_the_channels_of_a_pixel_into_a_square():
    large = enlarge(IMAGE)
    assert large.shape == (2, 12, 16, 1)
    np.testing.assert_array_equal(large[:, 2:4, 4:6, 0].reshape(2, 4), IMAGE[:, 1, 2])
