import numpy as np
import pytest
from scipy.spatial.distance import cdist

from jaxgen import InputError
from jaxgen.evaluation import compare_manifolds, neighbours
from jaxgen.evaluation.neighbours import nearest_distances, nearest_neighbours


def draw(num, seed, size=5, scale=1.0, shift=0.0):
    return (scale * np.random.default_rng(seed).normal(size=(num, size)) + shift).astype(np.float32)


def by_hand(real, drawn, k):
    radii = [np.sort(cdist(own, own), axis=1)[:, k] for own in (real, drawn)]
    between = cdist(real, drawn)
    in_real = between < radii[0][:, None]
    return {
        "precision": in_real.any(axis=0).mean(),
        "recall": (between < radii[1]).any(axis=1).mean(),
        "density": in_real.sum() / (k * len(drawn)),
        "coverage": in_real.any(axis=1).mean(),
    }


@pytest.mark.parametrize(("k", "chunk"), [(1, 1_000), (3, 64), (5, 7)])
def test_manifolds_are_compared_by_their_definition(monkeypatch, k, chunk):
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    real, drawn = draw(150, 0), draw(130, 1, scale=1.2)
    for name, expected in by_hand(real, drawn, k).items():
        assert getattr(compare_manifolds(real, drawn, k=k), name).value == pytest.approx(expected, abs=1e-6)


def test_what_is_far_away_covers_nothing_and_a_set_covers_itself():
    real = draw(100, 0)
    assert [estimate.value for estimate in compare_manifolds(real, draw(100, 1, shift=99.0))] == [0, 0, 0, 0]
    same = compare_manifolds(real, real)
    assert (same.precision.value, same.recall.value, same.coverage.value) == (1, 1, 1)


def test_a_common_offset_changes_nothing():
    real, drawn = draw(200, 0), draw(200, 1)
    for moved, own in zip(
        compare_manifolds(real + np.float32(128), drawn + np.float32(128)), compare_manifolds(real, drawn), strict=True
    ):
        assert moved.value == pytest.approx(own.value, abs=0.01)


def test_nearest_distances_are_those_of_scipy():
    of, to = draw(57, 0), draw(91, 1)
    np.testing.assert_allclose(nearest_distances(of, to, k=4), np.sort(cdist(of, to), axis=1)[:, 3], rtol=1e-5)


@pytest.mark.parametrize(
    ("real", "drawn", "k", "message"),
    [
        (draw(9, 0), draw(5, 1), 5, "5 samples; expected at least 6"),
        (draw(9, 0), draw(9, 1), 0, "k = 0"),
        (draw(9, 0), draw(9, 1, size=4), 2, r"\(9, 5\) and \(9, 4\)"),
        (np.full((9, 5), np.nan), draw(9, 1), 2, "not finite"),
    ],
)
def test_unusable_features_are_refused(real, drawn, k, message):
    with pytest.raises(InputError, match=message):
        compare_manifolds(real, drawn, k=k)


def test_a_row_with_equals_is_not_its_own_neighbour():
    features = np.array([[0.0, 0], [0, 0], [0, 0], [3, 4]], np.float32)
    distances, index = nearest_neighbours(features, features, k=1, is_self=True)
    assert (index[:, 0] != np.arange(4)).all()
    np.testing.assert_allclose(distances[:, 0], [0, 0, 0, 5], atol=1e-6)
