import numpy as np
import pytest
import scipy.linalg

from jaxgen import InputError
from jaxgen.evaluation import fit_gaussian, frechet_distance


def draw(num, size, seed):
    random = np.random.default_rng(seed)
    return random.normal(size=(num, size)) @ random.normal(size=(size, size)) + random.normal(size=size)


@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_the_distance_is_that_of_the_textbook_formula(size):
    first, second = draw(200, size, 0), draw(300, size, 1)
    c1, c2 = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (first, second))
    root = scipy.linalg.sqrtm(c1 @ c2).real
    expected = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(c1 + c2 - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_the_distance_to_oneself_is_zero_and_it_is_symmetric():
    first, second = draw(200, 5, 0), draw(300, 5, 1)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first), rel=1e-9)


def test_a_shift_adds_its_square_and_a_scale_its_closed_form():
    features = draw(500, 4, 0)
    assert frechet_distance(features, features + 3.0) == pytest.approx(4 * 9.0)
    centred = features - features.mean(0)
    variance = np.trace(np.cov(centred, rowvar=False))
    assert frechet_distance(centred, 2 * centred) == pytest.approx(variance)  # (2 - 1)^2 tr C


def test_a_feature_that_is_constant_does_no_harm():
    first, second = draw(100, 4, 0), draw(100, 4, 1)
    flat = np.zeros((100, 1))
    distance = frechet_distance(np.hstack([first, flat]), np.hstack([second, flat]))
    assert distance == pytest.approx(frechet_distance(first, second), rel=1e-6)


def test_few_samples_are_allowed_on_demand():
    first, second = draw(5, 8, 0), draw(4, 8, 1)
    c1, c2 = (np.cov(features, rowvar=False) for features in (first, second))
    nuclear = np.linalg.svd(scipy.linalg.sqrtm(c1).real @ scipy.linalg.sqrtm(c2).real, compute_uv=False).sum()
    expected = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(c1 + c2) - 2 * nuclear
    assert frechet_distance(first, second, allow_few=True) == pytest.approx(expected, rel=1e-5)


def test_moments_are_those_of_all_rows_at_once():
    features = draw(10_000, 3, 0)
    mean, covariance = fit_gaussian(features)
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(features, rowvar=False), rtol=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((9, 3)), np.zeros((9, 4)), r"\(9, 3\) and \(9, 4\)"),
        (np.zeros((4, 4)), np.zeros((9, 4)), "4 samples of 4 features; expected more"),
        (np.full((9, 3), np.nan), np.zeros((9, 3)), "not finite"),
    ],
)
def test_unusable_features_are_refused(first, second, message):
    with pytest.raises(InputError, match=message):
        frechet_distance(first, second)
