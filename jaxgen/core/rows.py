"""Examples in the devices' memory: arrays [N, ...] from which a step gathers its batch by index.

An image or a clip lies as a row of bytes, filled up with zeros to a multiple of 128, the width of a TPU's vector
registers.  Compiled for a TPU v5e, a program copies 50,000 images [32, 32, 3] at every dispatch (614 MB, 7.7 million
cycles) and 60,000 rows of 784 bytes too (47 MB, 0.7 million), but neither rows of 3,072 nor of 896.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

from jaxgen.core.types import Array

LANES = 128
"""Bytes of which a row of an image or a clip is a multiple."""

CHUNK = 2**24
"""Bytes that are put on a device at a time, so that the host never holds the rows of a large array twice."""


def row_shape(shape: tuple[int, ...], dtype: np.dtype) -> tuple[int, ...]:
    """The shape in which an example lies: images uint8 [H, W, C] and clips [T, H, W, C] are flat, others as they are.

    >>> row_shape((28, 28, 1), np.dtype(np.uint8)), row_shape((12,), np.dtype(np.int32))
    ((896,), (12,))
    """
    is_flat = dtype == np.uint8 and len(shape) in (3, 4)
    return (-(-math.prod(shape) // LANES) * LANES,) if is_flat else shape


def stored_bytes(array: np.ndarray) -> int:
    """The bytes of an array's examples as they lie."""
    return len(array) * math.prod(row_shape(array.shape[1:], array.dtype)) * array.itemsize


def take_rows(rows: Array, index: Array, shape: tuple[int, ...]) -> Array:
    """The examples [B, ...] of a shape at the indices [B] of their rows."""
    taken = rows[index]
    return taken if taken.shape[1:] == shape else taken[:, : math.prod(shape)].reshape(-1, *shape)


def place_rows(
    array: np.ndarray, sharding: Sharding, *, starts: Sequence[int], length: int, stacked: bool = False
) -> Array:
    """The examples of an array [N, ...] as rows on devices: of each part the `length` rows from its start on.

    The result is [parts * length, ...], or [parts, length, ...] if the parts are stacked; its first axis is sharded
    over as many devices as there are parts, or it is replicated.  Rows after the last example are zeros.
    """
    row, dtype, parts = row_shape(array.shape[1:], array.dtype), jax.dtypes.canonicalize_dtype(array.dtype), len(starts)
    most = min(length, max(1, CHUNK // (math.prod(row) * dtype.itemsize)))

    def shape(rows: int) -> tuple[int, ...]:
        return (parts, rows, *row) if stacked else (parts * rows, *row)

    def chunk(offset: int) -> Array:
        def of_device(index: Any) -> np.ndarray:
            start = offset + starts[(index[0].start or 0) // (1 if stacked else most)]
            return _rows(array[start : start + most], most, row, dtype).reshape(sharding.shard_shape(shape(most)))

        return jax.make_array_from_callback(shape(most), sharding, of_device)

    def write(whole: Array, part: Array, offset: Array) -> Array:
        apart = whole.reshape(parts, length, *row)
        after = jax.lax.dynamic_update_slice_in_dim(apart, part.reshape(parts, most, *row), offset, axis=1)
        return after.reshape(whole.shape)

    if most == length:
        return chunk(0)
    whole = jax.jit(partial(jnp.zeros, shape(length), dtype), out_shardings=sharding)()
    written = jax.jit(write, donate_argnums=0, out_shardings=sharding)
    for offset in (*range(0, length - most, most), length - most):  # the last chunk is as long as the others
        whole = jax.block_until_ready(written(whole, chunk(offset), np.int32(offset)))
    return whole


def _rows(examples: np.ndarray, length: int, row: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Examples [n, ...] as n rows; zeros make up row and length."""
    rows = np.zeros((length, math.prod(row)), dtype)
    flat = examples.reshape(len(examples), math.prod(examples.shape[1:]))
    rows[: len(flat), : flat.shape[1]] = flat
    return rows.reshape(length, *row)
