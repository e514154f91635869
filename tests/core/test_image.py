import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import to_float, to_uint8


def test_every_level_survives_the_way_there_and_back():
    levels = jnp.arange(256, dtype=jnp.uint8)
    assert (to_uint8(to_float(levels)) == levels).all()


def test_floats_are_symmetric_about_the_middle():
    levels = jnp.arange(256, dtype=jnp.uint8)
    np.testing.assert_allclose(to_float(levels), -to_float(levels)[::-1], atol=1e-6)


def test_what_is_out_of_range_is_clipped():
    assert to_uint8(jnp.array([-9.0, -1.0, 1.0, 9.0])).tolist() == [0, 0, 255, 255]


def test_the_wrong_type_is_refused_by_name():
    with pytest.raises(TypeError, match="float32; expected uint8"):
        to_float(jnp.zeros(3))
    with pytest.raises(TypeError, match="uint8; expected floating point"):
        to_uint8(jnp.zeros(3, jnp.uint8))
