"""Data sets that TensorFlow Datasets has prepared as array_record: read without TensorFlow and without a network.

Decoding takes a while, so the arrays are kept in the user's cache folder under the digest of the prepared files; what
is too large for memory is decoded as it is streamed.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.data.dataset import Dataset, FieldTypes, StreamedDataset, make_dataset, read_arrays
from jaxgen.io.archive import read_cached, write_cached
from jaxgen.io.errors import InputError, package, refuse_damage
from jaxgen.io.files import cache_folder, expanded
from jaxgen.io.system import has_home

KIND = "a prepared data set"


def default_folders() -> list[Path]:
    """TFDS's own default folder; none for a user without a home folder.

    Raises:
      InputError: TFDS_DATA_DIR begins with the home folder of a user without one.
    """
    named = os.environ.get("TFDS_DATA_DIR")
    if named is None and not has_home():
        return []
    return [expanded(named or "~/tensorflow_datasets")]


def find_prepared(folder: Path, name: str) -> Path | None:
    """The newest version of a data set that is prepared as array_record in a folder; None if there is none."""
    versions = {path.parent for path in (folder / name).glob(f"*/{name}-*.array_record*")}
    return max(versions, key=_version, default=None)


def read_prepared(name: str, split: str, folder: Path, announce: Callable[[str], None]) -> Dataset:
    """The split of a prepared data set as arrays.

    Raises:
      InputError: the data set has no such split, or is damaged.
    """
    digest = sha256(b"".join(sha256(path.read_bytes()).digest() for path in _shards(name, split, folder))).hexdigest()
    cached = cache_folder() / "decoded" / f"{name}-{split}-{digest[:16]}.npz"
    arrays = read_cached(cached)
    if arrays is None:
        streamed = stream_prepared(name, split, folder)
        announce(f"Decoding {streamed.size:,} images of {name} once; they are cached as an array")
        arrays = read_arrays(streamed)
        write_cached(cached, arrays)
    return make_dataset(arrays["image"], arrays.get("label"), source=_source(folder), split=split)


def stream_prepared(name: str, split: str, folder: Path) -> StreamedDataset:
    """The split of a prepared data set, decoded one example at a time.

    Raises:
      InputError: the data set has no such split, or is damaged; `read` raises it too.
    """
    shards, source = _shards(name, split, folder), _open(split, folder)
    with refuse_damage(folder, KIND):
        digest = sha256((folder / "dataset_info.json").read_bytes())
        for path in shards:
            digest.update(f"{path.name}\0{path.stat().st_size}\n".encode())
        first = source[0]
    fields: FieldTypes = {"image": (first["image"].shape, first["image"].dtype)}
    if first.get("label", -1) >= 0:  # TFDS labels what has no label -1
        fields["label"] = ((), np.dtype(np.int32))

    def read(index: int) -> dict[str, np.ndarray]:
        with refuse_damage(folder, KIND):
            example = source[index]
            return {name: np.asarray(example[name], dtype) for name, (_, dtype) in fields.items()}

    return StreamedDataset(read, len(source), fields, _source(folder), split, digest.hexdigest())


def _shards(name: str, split: str, folder: Path) -> list[Path]:
    shards = sorted(folder.glob(f"{name}-{split}.array_record*"))
    if not shards:
        raise InputError(f"{folder} has no split {split!r}.")
    return shards


def _open(split: str, folder: Path) -> Any:
    import absl.logging

    tfds = package("tensorflow_datasets", "reads prepared data sets")
    package("array_record.python.array_record_data_source", "reads prepared data sets")
    absl.logging.set_verbosity(absl.logging.ERROR)
    with refuse_damage(folder, KIND):
        return tfds.builder_from_directory(str(folder)).as_data_source(split)


def _source(folder: Path) -> str:
    return f"TFDS {folder.parent.name} {folder.name} in {folder}"


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in folder.name.split("."))
