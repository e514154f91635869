"""New latents near those that somebody liked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.models.latents.selection import children

LIKED = jax.random.normal(jax.random.key(1), (3, 400))


@pytest.mark.parametrize("closeness", [0.0, 0.6, 1.0])
def test_children_are_standard_normal_and_as_near_to_their_parents_as_asked(closeness):
    made = children(jax.random.key(0), LIKED, 503, closeness=closeness)
    np.testing.assert_array_equal(made[:3], LIKED)
    made = made[3:]
    # 500 norms, each with a relative deviation of 1 / sqrt(800); those of the parents are off by as much.
    np.testing.assert_allclose(jnp.square(made).mean(), 1, atol=0.1)
    # The share of a child in the plane of its parents is its closeness.
    basis = jnp.linalg.qr(LIKED.T)[0]
    inside = jnp.square(made @ basis).sum(1) / jnp.square(made).sum(1)
    np.testing.assert_allclose(inside.mean(), closeness**2, atol=0.05)


def test_a_child_depends_on_its_number_and_one_liked_is_the_only_parent():
    key = jax.random.key(0)
    few, many = (children(key, LIKED, num, closeness=0.8) for num in (5, 9))
    np.testing.assert_allclose(few, many[:5], rtol=1e-6)
    np.testing.assert_allclose(children(key, LIKED[:1], 4, closeness=1.0), jnp.repeat(LIKED[:1], 4, axis=0), rtol=1e-6)


@pytest.mark.parametrize(("liked", "closeness"), [(LIKED[:0], 0.5), (LIKED, 1.5)])
def test_nothing_liked_and_a_closeness_out_of_range_are_refused(liked, closeness):
    with pytest.raises(ValueError, match="children was given"):
        children(jax.random.key(0), liked, 4, closeness=closeness)
