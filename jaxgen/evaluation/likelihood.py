"""Units of a negative log-likelihood: nats per example, bits per dimension (pixels times channels)."""

import math
from typing import TypeVar

from jaxgen.core.types import Array
from jaxgen.evaluation.estimate import Estimate

Number = TypeVar("Number", float, Array)


def bits_per_dim(nats: Number, dimensions: int) -> Number:
    """Bits per dimension of a negative log-likelihood in nats per example.

    >>> bits_per_dim(784 * 8 * math.log(2), 784)
    8.0
    """
    return nats / (dimensions * math.log(2))


def bits_of(nats: Estimate, dimensions: int) -> Estimate:
    """Bits per dimension of an estimate in nats per example; without a standard error if it has none.

    >>> bits_of(Estimate(784 * math.log(2)), 784)
    Estimate(value=1.0, standard_error=None)
    """
    error = nats.standard_error
    return Estimate(bits_per_dim(nats.value, dimensions), None if error is None else bits_per_dim(error, dimensions))
