"""Memorisation: nearest neighbours in the training set."""

import numpy as np
import pytest

from jaxgen import ImageSpec, InputError
from jaxgen.data import load
from jaxgen.evaluation import (
    Reference,
    digit_network,
    evaluate,
    feature_network,
    memorization,
    needs_training,
    neighbour_grid,
    packaged_network,
    training_neighbours,
)
from jaxgen.evaluation.evaluate import extract_features
from jaxgen.evaluation.memorization import pixel_differences
from jaxgen.io.pictures import EMPTY


def draw(num, seed, size=5, scale=1.0):
    return (scale * np.random.default_rng(seed).normal(size=(num, size))).astype(np.float32)


def test_copies_are_memorised_and_new_samples_are_not():
    train, held_out = draw(300, 0), draw(300, 1)
    assert memorization(train, held_out, train[:100]).value == 1
    value, error = memorization(train, held_out, draw(300, 2))
    assert error == pytest.approx(np.sqrt(601 / 12 / 300**2))
    assert abs(value - 0.5) < 3 * error
    assert memorization(train, held_out, draw(300, 2, scale=9.0)).value < 0.1


def test_without_held_out_samples_training_samples_are_compared_with_the_others():
    train = draw(300, 0)
    assert memorization(train, None, train[:100]).value == 1
    value, error = memorization(train, None, draw(300, 2))
    assert abs(value - 0.5) < 3 * error
    distances = np.linalg.norm(train[:, None] - train, axis=2) + np.diag(np.full(300, np.inf))
    drawn = draw(50, 3)
    own = np.linalg.norm(drawn[:, None] - train, axis=2).min(axis=1)
    expected = (own < distances.min(axis=1)[:, None]).mean()
    assert memorization(train, None, drawn).value == pytest.approx(expected, abs=1 / 300)  # a pair or two may round
    with pytest.raises(InputError, match="1 samples; expected at least 2"):
        memorization(train[:1], None, drawn)


def test_only_memorisation_needs_the_training_images():
    assert needs_training(())
    assert needs_training(("kernel", "memorization"))
    assert not needs_training(("frechet", "kernel", "manifold", "classes", "diversity"))


def test_pixels_differ_by_the_root_mean_square():
    first, second = (np.random.default_rng(seed).integers(0, 256, (5, 3, 4, 3), np.uint8) for seed in (0, 1))
    of, to = np.array([0, 4, 4]), np.array([3, 3, 0])
    apart = first[of].astype(float) - second[to]
    np.testing.assert_allclose(pixel_differences(first, second, of, to), np.sqrt((apart**2).mean((1, 2, 3))), rtol=1e-6)


@pytest.fixture(scope="module")
def digits():
    """Training images, held-out ones, and copies of the former with one grey level of noise: uint8 [N, 28, 28, 1]."""
    image = load("mnist", offline=True).arrays["image"]
    order, rng = np.random.default_rng(0).permutation(len(image)), np.random.default_rng(1)
    train, held_out, new = image[order[:600]], image[order[600:900]], image[order[900:1_200]]
    noise = rng.integers(-1, 2, held_out.shape)
    return train, held_out, new, np.clip(train[:300] + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("are_held_out", [True, False])
def test_noisy_copies_are_detected_and_held_out_images_are_not(digits, are_held_out):
    train, held_out, new, copies = digits
    network = digit_network()
    reference = Reference(train, network.extract(train), train=train, held_out=held_out if are_held_out else None)

    def measures(images):
        return evaluate(images, reference, network, metrics=("memorization",))

    of_copies, of_new = measures(copies), measures(new)
    assert of_copies["memorization"].value > 0.98
    assert of_copies["copies"].value == 1
    assert abs(of_new["memorization"].value - 0.5) < 3 * of_new["memorization"].standard_error
    assert of_new["copies"].value == 0
    assert of_new["copies among real"].value == 0


def test_memorisation_does_not_depend_on_the_network_of_the_other_measures(digits):
    train, _, new, _ = digits
    networks = digit_network(), feature_network("mean", lambda image: image.mean((1, 2)))
    references = [Reference(train[:50], network.extract(train[:50]), train=train) for network in networks]
    one, other = (
        evaluate(new[:50], reference, network, metrics=("memorization",))
        for reference, network in zip(references, networks, strict=True)
    )
    assert one == other


def test_drawn_images_are_beside_the_training_images_that_they_copy(digits):
    train, _, new, copies = digits
    network = packaged_network(ImageSpec(28, 28, 1))
    drawn = np.concatenate([new[:20], copies[:4]])
    evaluated = extract_features(drawn, Reference(train, network.extract(train), train=train), network)
    neighbours = training_neighbours(evaluated)
    nearest = neighbours["nearest"]
    assert set(nearest.drawn[:4]) == {20, 21, 22, 23}
    np.testing.assert_array_equal(nearest.training[:4, 0], nearest.drawn[:4] - 20)
    assert (nearest.grey_levels[:4, 0] <= 1).all()
    assert (np.diff(nearest.distances) >= 0).all()
    of_train = network.extract(train).features[nearest.training]
    apart = evaluated.drawn[nearest.drawn][:, None] - of_train
    np.testing.assert_allclose(nearest.distances, np.linalg.norm(apart, axis=2), rtol=1e-5)
    images, columns = neighbour_grid(evaluated, neighbours)
    assert images.shape == (8 * columns, 28, 28, 1)
    rows = images.reshape(8, columns, 28, 28, 1)
    np.testing.assert_array_equal(rows[:, 0], drawn[nearest.drawn])
    np.testing.assert_array_equal(rows[:, 1:4], train[nearest.training])
    assert (rows[:, 4] == EMPTY).all()
    np.testing.assert_array_equal(rows[:, 5], drawn[neighbours["random"].drawn])
