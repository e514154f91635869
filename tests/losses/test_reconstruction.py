"""Distances of images: by their definitions, by PyTorch, and what networks see."""

import jax
import numpy as np
import pytest

from jaxgen import to_float
from jaxgen.evaluation import digit_features, digit_network
from jaxgen.losses import absolute_error, categorical, charbonnier_error, perceptual_error, squared_error

MADE, TRUTH = np.random.default_rng(0).uniform(-1, 1, (2, 5, 4, 6, 3)).astype(np.float32)
DISTANCES = {
    "squared": (squared_error, lambda d: d**2),
    "absolute": (absolute_error, np.abs),
    "Charbonnier": (charbonnier_error(0.1), lambda d: np.sqrt(d**2 + 0.01)),
    "perceptual": (perceptual_error(lambda images: images[..., :1]), lambda d: d[..., :1] ** 2),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_a_distance_is_the_mean_of_an_image(name):
    distance, of = DISTANCES[name]
    distance = jax.jit(distance)
    expected = of(np.asarray(MADE - TRUTH, np.float64)).reshape(5, -1).mean(-1)
    np.testing.assert_allclose(distance(MADE, TRUTH), expected, rtol=1e-5)
    chosen = np.array([3, 0])
    np.testing.assert_allclose(distance(MADE[chosen], TRUTH[chosen]), expected[chosen], rtol=1e-5)


def test_charbonnier_is_squared_when_near_and_absolute_when_far():
    zero, small, large = np.zeros_like(TRUTH), charbonnier_error(1e-6), charbonnier_error(10.0)

    @jax.jit
    def run(made, truth):
        far = small(made, truth), absolute_error(made, truth)
        near = (large(made, truth) - large(zero, zero)) * 20, squared_error(made, truth)
        return near, far, jax.grad(lambda images: charbonnier_error()(images, truth).sum())(truth)

    near, far, slope = run(MADE, TRUTH)
    np.testing.assert_allclose(*far, rtol=1e-5)
    np.testing.assert_allclose(*near, rtol=0.02)
    assert np.isfinite(slope).all()
    with pytest.raises(ValueError, match="epsilon 0; expected one above 0"):
        charbonnier_error(0)


def test_a_perceptual_error_adds_up_maps():
    def two(images):
        return {"all": images, "mean": images.mean((1, 2))}

    @jax.jit
    def run(made, truth):
        means = squared_error(made.mean((1, 2)), truth.mean((1, 2)))
        return perceptual_error(two)(made, truth), squared_error(made, truth) + means

    np.testing.assert_allclose(*run(MADE, TRUTH), rtol=1e-6)


def test_the_digit_classifier_sees_the_same_in_training_and_in_judging():
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), dtype=np.uint8)
    see = digit_features()

    @jax.jit
    def run(images):
        one, other = (images := to_float(images)).reshape(2, 2, 28, 28, 1)
        return see(images), jax.grad(lambda given: perceptual_error(see)(given, other).sum())(one)

    seen, slope = run(images)
    np.testing.assert_allclose(seen, digit_network().extract(images).features, rtol=1e-4)
    assert np.isfinite(slope).all()
    assert (np.abs(slope).max((1, 2, 3)) > 0).all()


@pytest.mark.agreement
def test_distances_and_cross_entropy_are_those_of_pytorch(torch):
    made, truth = map(torch.tensor, (MADE, TRUTH))
    for ours, theirs in [(squared_error, "mse_loss"), (absolute_error, "l1_loss")]:
        expected = getattr(torch.nn.functional, theirs)(made, truth)
        np.testing.assert_allclose(np.mean(jax.jit(ours)(MADE, TRUTH)), expected, rtol=1e-5)
    rng = np.random.default_rng(1)
    dist_params = rng.normal(size=(5, 4, 6, 3 * 256)).astype(np.float32)
    images = rng.integers(0, 256, (5, 4, 6, 3), np.uint8)
    logits = torch.tensor(dist_params).reshape(-1, 256)
    levels = torch.tensor(images.astype(np.int64)).reshape(-1)
    expected = torch.nn.functional.cross_entropy(logits, levels, reduction="none").reshape(5, -1).sum(-1)
    np.testing.assert_allclose(-jax.jit(categorical().log_prob)(dist_params, images), expected, rtol=1e-5)
