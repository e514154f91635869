"""Units of a negative log-likelihood: nats per example, bits per dimension (pixels times channels)."""

import math
from typing import TypeVar

from jaxgen.core.types import Array

Number = TypeVar("Number", float, Array)


def bits_per_dim(nats: Number, dimensions: int) -> Number:
    """Bits per dimension of a negative log-likelihood in nats per example.

    >>> bits_per_dim(784 * 8 * math.log(2), 784)
    8.0
    """
    return nats / (dimensions * math.log(2))


def nats_per_example(bits: Number, dimensions: int) -> Number:
    """Nats per example of a negative log-likelihood in bits per dimension."""
    return bits * (dimensions * math.log(2))
