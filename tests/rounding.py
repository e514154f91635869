"""Equality up to float32 rounding."""

import numpy as np

UNIT = 2.0**-24
"""The largest relative error of one float32 rounding."""


def assert_equal_sums(ours, theirs, magnitude, *, terms):
    """Two float32 sums of the same `terms` numbers in any order, whose absolute values add up to `magnitude`.

    Each is within terms * UNIT * magnitude of the exact sum: Higham (2002), Accuracy and Stability of Numerical
    Algorithms, equation (4.4).
    """
    error, bound = np.abs(np.asarray(ours, np.float64) - theirs), 2 * terms * UNIT * np.asarray(magnitude)
    assert (error <= bound).all(), f"off by {error.max():.3g}, {(error / np.maximum(bound, 1e-300)).max():.3g} bounds"
