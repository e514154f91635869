"""Values with standard errors."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A value and its standard error, None where it was not estimated.

    >>> print(f"{Estimate(0.5, 0.02):.1%} and {Estimate(3.0):.2f}")
    50.0% ± 2.0% and 3.00
    """

    value: float
    standard_error: float | None = None

    def __format__(self, spec: str) -> str:
        error = "" if self.standard_error is None else f" ± {self.standard_error:{spec}}"
        return f"{self.value:{spec}}{error}"


def mean_of(values: Sequence[float] | np.ndarray) -> Estimate:
    """The mean of independent values; a single one has no standard error."""
    values = np.asarray(values, np.float64)
    error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None
    return Estimate(float(values.mean()), error)
