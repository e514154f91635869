"""The precision of matrix products and convolutions.

By default accelerators round float32 inputs: TPUs to bfloat16, GPUs to TF32.  CPUs never do.
"""

from collections.abc import Callable
from functools import wraps
from typing import Literal, ParamSpec, TypeVar

import jax

from jaxgen.core.types import Update

P = ParamSpec("P")
R = TypeVar("R")

Precision = Literal["default", "high", "highest"]
"""JAX's names: `highest` is float32, `high` between it and the device's default."""


def at_precision(precision: Precision, function: Callable[P, R]) -> Callable[P, R]:
    """The function with the matrix products and convolutions of float32 arrays at this precision."""

    @wraps(function)
    def precise(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.default_matmul_precision(precision):
            return function(*args, **kwargs)

    return precise


def precise(precision: Precision, update: Update) -> Update:
    """The update at this precision."""
    return update._replace(update=at_precision(precision, update.update))
