"""A number with how far chance may have moved it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A value and its standard error, None where it was not estimated."""

    value: float
    standard_error: float | None = None


def mean_of(values: Sequence[float] | np.ndarray) -> Estimate:
    """The mean of independent values; its standard error is that of at least two."""
    values = np.asarray(values, np.float64)
    error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None
    return Estimate(float(values.mean()), error)
