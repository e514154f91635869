import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.evaluation import class_score, count_classes


def test_the_score_is_one_for_uniform_and_the_number_of_classes_for_certain_predictions():
    assert class_score(np.full((100, 10), 0.1)).value == pytest.approx(1)
    certain = np.tile(np.eye(10), (10, 1))
    assert class_score(certain, splits=1).value == pytest.approx(10)
    assert class_score(np.tile(np.eye(10)[:1], (100, 1))).value == pytest.approx(1)


def test_the_score_of_one_split_is_the_mutual_information_of_sample_and_class():
    p = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    entropy = lambda q: -(q * np.log(q)).sum(axis=-1)  # noqa: E731
    expected = np.exp(entropy(p.mean(axis=0)) - entropy(p).mean())
    assert class_score(p, splits=1).value == pytest.approx(expected)
    assert class_score(p, splits=1).standard_error is None


def test_classes_are_counted():
    classes = count_classes(np.eye(4)[[0, 0, 1, 3]])
    np.testing.assert_allclose(classes.shares, [0.5, 0.25, 0, 0.25])
    assert (classes.covered, classes.rarest) == (3, 0)
    assert classes.balance == pytest.approx(2**1.5 / 4)  # an entropy of 1.5 bits
    assert count_classes(np.eye(4)).balance == pytest.approx(1)


@pytest.mark.parametrize(
    ("probabilities", "splits", "message"),
    [
        (np.ones((3, 4)), 1, "do not sum to 1"),
        (np.full((3, 4), np.nan), 1, "not finite"),
        (np.ones(4), 1, r"shape \(4,\)"),
        (np.eye(4), 5, "5 splits of 4 samples"),
    ],
)
def test_arrays_that_are_no_probabilities_are_refused(probabilities, splits, message):
    with pytest.raises(InputError, match=message):
        class_score(probabilities, splits=splits)
