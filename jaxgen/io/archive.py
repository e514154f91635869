"""Arrays as an `.npz`: images, in the layout that the OpenAI guided-diffusion evaluator reads, and cached arrays."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.io.files import AnyPath, write_whole


def save_archive(path: AnyPath, images: np.ndarray, label: np.ndarray | None = None) -> None:
    """Writes images uint8 [N, H, W, C] as `arr_0`, and labels int32 [N] as `arr_1` if there are any."""
    arrays = (images,) if label is None else (images, label)
    write_whole(path, lambda file: np.savez(file, *arrays))


def read_cached(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays in an `.npz` by name; None if it is not there, or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
    except Exception:  # of whatever kind: NumPy, zipfile and zlib each have their own
        return None
    with suppress(OSError):  # a cache that others may only read
        path.touch()  # the least recently used are deleted first
    return arrays


def write_cached(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes arrays as an `.npz`, unless it cannot be written: without a cache, only time is lost."""
    try:
        write_whole(path, lambda file: np.savez(file, **arrays))
    except OSError:
        return


def trim_cache(folder: Path, most_bytes: int = 2**33) -> None:
    """Deletes the least recently used files of a cache, but the last one, until it takes no more than `most_bytes`."""
    with suppress(OSError):  # another process deletes too
        files = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in files)
        for path in files[:-1]:
            if total <= most_bytes:
                return
            total -= path.stat().st_size
            path.unlink()
