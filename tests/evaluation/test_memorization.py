"""Memorisation: nearest neighbours in the training set."""

import numpy as np
import pytest

from jaxgen.evaluation import memorization, needs_splits


def draw(num, seed, size=5, scale=1.0):
    return (scale * np.random.default_rng(seed).normal(size=(num, size))).astype(np.float32)


def test_copies_are_memorised_and_new_samples_are_not():
    train, held_out = draw(300, 0), draw(300, 1)
    assert memorization(train, held_out, train[:100]).value == 1
    value, error = memorization(train, held_out, draw(300, 2))
    assert error == pytest.approx(np.sqrt(601 / 12 / 300**2))
    assert abs(value - 0.5) < 3 * error
    assert memorization(train, held_out, draw(300, 2, scale=9.0)).value < 0.1


def test_only_memorisation_needs_both_splits():
    assert needs_splits(())
    assert needs_splits(("kernel", "memorization"))
    assert not needs_splits(("frechet", "kernel", "manifold", "classes", "diversity"))
