"""Arrays of images in the user's cache folder, so that the next start does not decode them again."""

from pathlib import Path

import numpy as np

from jaxgen.io.archive import read_cached, trim_cache, write_cached
from jaxgen.io.files import cache_folder

CACHED_FROM = 1_000
"""From so many images on, their arrays are cached."""
MOST_BYTES = 2**31
"""Larger arrays are not: they would fill a small disk."""


def cached_arrays(key: str, most_bytes: int | None) -> dict[str, np.ndarray] | None:
    """The arrays of a data set by name; None if they are not there, damaged, or larger than `most_bytes`."""
    path = _path(key)
    try:
        size = path.stat().st_size
    except OSError:
        return None
    return None if most_bytes is not None and size > most_bytes else read_cached(path)


def cache_arrays(key: str, arrays: dict[str, np.ndarray]) -> None:
    """Writes the arrays of a data set of many images, and deletes the least recently used of others."""
    if len(arrays["image"]) >= CACHED_FROM and sum(array.nbytes for array in arrays.values()) <= MOST_BYTES:
        write_cached(_path(key), arrays)
        trim_cache(_path(key).parent)


def _path(key: str) -> Path:
    return cache_folder() / "images" / f"{key[:32]}.npz"
