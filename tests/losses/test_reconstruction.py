"""Distances of images: by their definitions, by PyTorch, and what networks see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import to_float
from jaxgen.evaluation import digit_features, digit_network
from jaxgen.losses import absolute_error, categorical, charbonnier_error, perceptual_error, squared_error

MADE, TRUTH = jax.random.uniform(jax.random.key(0), (2, 5, 4, 6, 3), minval=-1, maxval=1)
DISTANCES = {
    "squared": (squared_error, lambda d: d**2),
    "absolute": (absolute_error, np.abs),
    "Charbonnier": (charbonnier_error(0.1), lambda d: np.sqrt(d**2 + 0.01)),
    "perceptual": (perceptual_error(lambda images: images[..., :1]), lambda d: d[..., :1] ** 2),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_a_distance_is_the_mean_of_an_image(name):
    distance, of = DISTANCES[name]
    expected = of(np.asarray(MADE - TRUTH, np.float64)).reshape(5, -1).mean(-1)
    np.testing.assert_allclose(distance(MADE, TRUTH), expected, rtol=1e-5)
    chosen = jnp.array([3, 0])
    np.testing.assert_allclose(distance(MADE[chosen], TRUTH[chosen]), expected[chosen], rtol=1e-5)


def test_charbonnier_is_squared_when_near_and_absolute_when_far():
    zero = jnp.zeros_like(TRUTH)
    np.testing.assert_allclose(charbonnier_error(1e-6)(MADE, TRUTH), absolute_error(MADE, TRUTH), rtol=1e-5)
    near = charbonnier_error(10.0)
    np.testing.assert_allclose((near(MADE, TRUTH) - near(zero, zero)) * 20, squared_error(MADE, TRUTH), rtol=0.02)
    assert jnp.isfinite(jax.grad(lambda images: charbonnier_error()(images, TRUTH).sum())(TRUTH)).all()
    with pytest.raises(ValueError, match="epsilon 0; expected one above 0"):
        charbonnier_error(0)


def test_a_perceptual_error_adds_up_maps():
    def two(images):
        return {"all": images, "mean": images.mean((1, 2))}

    apart = squared_error(MADE, TRUTH) + squared_error(MADE.mean((1, 2)), TRUTH.mean((1, 2)))
    np.testing.assert_allclose(perceptual_error(two)(MADE, TRUTH), apart, rtol=1e-6)


def test_the_digit_classifier_sees_the_same_in_training_and_in_judging():
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), dtype=np.uint8)
    see = digit_features()
    np.testing.assert_allclose(see(to_float(jnp.asarray(images))), digit_network().extract(images).features, rtol=1e-4)
    one, other = to_float(jnp.asarray(images)).reshape(2, 2, 28, 28, 1)
    slope = jax.grad(lambda given: perceptual_error(see)(given, other).sum())(one)
    assert jnp.isfinite(slope).all()
    assert (jnp.abs(slope).max((1, 2, 3)) > 0).all()


@pytest.mark.agreement
def test_distances_and_cross_entropy_are_those_of_pytorch(torch):
    made, truth = (torch.tensor(np.asarray(images)) for images in (MADE, TRUTH))
    for ours, theirs in [(squared_error, "mse_loss"), (absolute_error, "l1_loss")]:
        expected = getattr(torch.nn.functional, theirs)(made, truth)
        np.testing.assert_allclose(ours(MADE, TRUTH).mean(), expected, rtol=1e-5)
    dist_params = jax.random.normal(jax.random.key(1), (5, 4, 6, 3 * 256))
    images = jax.random.randint(jax.random.key(2), (5, 4, 6, 3), 0, 256).astype(jnp.uint8)
    logits = torch.tensor(np.asarray(dist_params)).reshape(-1, 256)
    levels = torch.tensor(np.asarray(images).astype(np.int64)).reshape(-1)
    expected = torch.nn.functional.cross_entropy(logits, levels, reduction="none").reshape(5, -1).sum(-1)
    np.testing.assert_allclose(-categorical().log_prob(dist_params, images), expected, rtol=1e-5)
