"""Functions of rows, such as images, that all devices of this process compute together.

Each device runs the program that one device alone would run for its part of the rows.  A row's result depends on how
many rows a device computes at a time, to rounding, but not on the number of devices.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxgen.core.types import PyTree
from jaxgen.io.terminal import progress

ROWS = "jaxgen_rows"
"""The axis of the mesh, another than that of a training batch: each device sees a batch of its own."""

LEAST = 128
"""Rows that an accelerator computes at a time, or more: fewer leave it idle."""


class RowMap(Protocol):
    """(shared, rows [N, ...]) -> results [N, ...] on the host; a device computes `size` rows at a time."""

    def __call__(self, shared: PyTree, rows: PyTree, *, size: int, what: str) -> PyTree:
        """`what` is what the progress is called that is shown."""
        ...


def rows_per_device(on_cpu: int) -> int:
    """How many rows a device computes at a time: so many if it is a CPU, at least 128 if it is an accelerator."""
    return on_cpu if jax.local_devices()[0].platform == "cpu" else max(LEAST, on_cpu)


def map_rows(function: Callable[[PyTree, PyTree], PyTree]) -> RowMap:
    """A function (shared, rows [B, ...]) -> results [B, ...] for any number of rows, compiled for all local devices.

    A row of the results may depend on the same row and on what is shared, which each device holds whole.  Fewer devices
    compute if there are no rows for the others; the last row fills up the last batch.
    """
    whole, split = PartitionSpec(), PartitionSpec(ROWS)

    @partial(jax.jit, static_argnums=0)
    def compiled(mesh: Mesh, shared: PyTree, rows: PyTree) -> PyTree:
        if mesh.size == 1:
            return function(shared, rows)
        # Without the check, for which an exported function has no rule.
        each = jax.shard_map(function, mesh=mesh, in_specs=(whole, split), out_specs=split, check_vma=False)
        return each(shared, rows)

    def mapped(shared: PyTree, rows: PyTree, *, size: int, what: str) -> PyTree:
        num = len(jax.tree.leaves(rows)[0])
        devices = jax.local_devices()[: max(1, -(-num // size))]
        mesh, step = Mesh(np.array(devices), (ROWS,), axis_types=(AxisType.Auto,)), size * len(devices)
        shared, each = jax.device_put(shared, NamedSharding(mesh, whole)), NamedSharding(mesh, split)

        def batch(start: int) -> PyTree:
            chosen = np.minimum(start + np.arange(step), num - 1)
            return jax.device_put(jax.tree.map(lambda array: array[chosen], rows), each)

        def shape(array: np.ndarray) -> jax.ShapeDtypeStruct:
            dtype = jax.dtypes.canonicalize_dtype(array.dtype)  # that of the array on a device: int32 for int64
            return jax.ShapeDtypeStruct((step, *array.shape[1:]), dtype, sharding=each)

        made = compiled.eval_shape(mesh, shared, jax.tree.map(shape, rows))
        results = jax.tree.map(lambda leaf: np.empty((num, *leaf.shape[1:]), leaf.dtype), made)

        def compute(start: int) -> None:
            computed = jax.device_get(compiled(mesh, shared, batch(start)))
            for array, part in zip(jax.tree.leaves(results), jax.tree.leaves(computed), strict=True):
                array[start : start + step] = part[: num - start]

        progress(compute, range(0, num, step), what)
        return results

    return mapped
