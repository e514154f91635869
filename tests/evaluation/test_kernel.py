import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.evaluation import kernel_distance


def draw(num, size, seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(num, size)) + shift


def by_hand(first, second):
    kernel = lambda x, y: (x @ y / first.shape[1] + 1) ** 3  # noqa: E731
    num = len(first)
    same = [
        sum(kernel(a, b) for i, a in enumerate(one) for j, b in enumerate(one) if i != j) / (num * (num - 1))
        for one in (first, second)
    ]
    return sum(same) - 2 * sum(kernel(a, b) for a in first for b in second) / num**2


def test_one_subset_is_the_sum_over_pairs():
    first, second = draw(20, 3, 0), draw(20, 3, 1, shift=0.5)
    value, error = kernel_distance(first, second)
    assert value == pytest.approx(by_hand(first, second), rel=1e-9)
    assert error is None


def test_it_is_unbiased_and_its_standard_error_is_one():
    estimates = [kernel_distance(draw(200, 4, 2 * n), draw(200, 4, 2 * n + 1), subset=20) for n in range(200)]
    values, errors = np.array(estimates).T
    spread = values.std(ddof=1)
    assert abs(values.mean()) < 3 * spread / np.sqrt(200)
    assert np.sqrt(np.square(errors).mean()) == pytest.approx(spread, rel=0.2)


def test_a_shift_is_distinguished_from_chance():
    value, error = kernel_distance(draw(2_000, 4, 0), draw(2_000, 4, 1, shift=0.5), subset=200)
    assert error is not None
    assert value > 10 * error


@pytest.mark.parametrize(
    ("first", "second", "options", "message"),
    [
        (draw(9, 3, 0), draw(9, 4, 0), {}, r"\(9, 3\) and \(9, 4\)"),
        (draw(1, 3, 0), draw(9, 3, 0), {}, "1 samples; expected at least 2"),
        (draw(9, 3, 0), np.full((9, 3), np.inf), {}, "not finite"),
        (draw(9, 3, 0), draw(9, 3, 1), {"subset": 1}, "Subsets of 1"),
    ],
)
def test_unusable_features_are_refused(first, second, options, message):
    with pytest.raises(InputError, match=message):
        kernel_distance(first, second, **options)
