"""Metrics as a monoid: totals and counts add, and only logging divides.

A link that a step skipped adds nothing, so an average over many steps needs no bookkeeping of which ones ran.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Mean(NamedTuple):
    """A mean that has not been divided yet: `total / count`, both float32 []."""

    total: jax.Array
    count: jax.Array  # pyright: ignore[reportIncompatibleMethodOverride]


Metrics = Mapping[str, Mean]


def mean(values: jax.Array) -> Mean:
    """The mean of an array of any shape, as a total and a count.

    >>> mean(jnp.array([1.0, 2.0, 6.0]))
    Mean(total=Array(9., dtype=float32), count=Array(3., dtype=float32))
    """
    values = jnp.asarray(values, jnp.float32)
    return Mean(total=values.sum(), count=jnp.asarray(values.size, jnp.float32))


def merge(first: Metrics, second: Metrics) -> dict[str, Mean]:
    """Both metrics as if their values had been seen together; a name may be missing on either side."""
    merged = {**first, **second}
    for name in first.keys() & second.keys():
        merged[name] = jax.tree.map(jnp.add, first[name], second[name])
    return merged


def prefixed(prefix: str, metrics: Metrics) -> dict[str, Mean]:
    """The metrics under names `prefix/name`."""
    return {f"{prefix}/{name}": value for name, value in metrics.items()}


def compute(metrics: Metrics) -> dict[str, float]:
    """The means as plain numbers; what was never measured is left out.

    >>> compute({"loss": mean(jnp.array([1.0, 2.0])), "penalty": Mean(jnp.zeros(()), jnp.zeros(()))})
    {'loss': 1.5}
    """
    fetched = jax.device_get(dict(metrics))
    return {name: float(value.total) / float(value.count) for name, value in fetched.items() if value.count > 0}
