"""Values with standard errors."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.io.errors import InputError


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
    """The mean of independent values [N]; a single one, or an infinite mean, has no standard error.

    Raises:
      InputError: there are no values, or one is not a number.
    """
    values = np.asarray(values, np.float64)
    if not values.size or np.isnan(values).any():
        raise InputError(f"The mean of {values.size} values; expected at least one, and no NaN.")
    mean = float(values.mean())
    has_error = len(values) > 1 and math.isfinite(mean)
    return Estimate(mean, float(values.std(ddof=1)) / math.sqrt(len(values)) if has_error else None)
