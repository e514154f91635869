"""Data sets that TensorFlow Datasets has prepared as array_record: read without TensorFlow and without a network.

Decoding takes a while, so the arrays are kept in the user's cache folder under the digest of the prepared files.
"""

import os
import zipfile
from collections.abc import Callable
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.data.dataset import Dataset, make_dataset
from jaxgen.errors import InputError, first_line
from jaxgen.files import cache_folder, write_whole


def default_folder() -> Path:
    """TFDS's own default folder."""
    return Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


def find_prepared(folder: Path, name: str) -> Path | None:
    """The newest version of a data set that is prepared as array_record in a folder; None if there is none."""
    versions = {path.parent for path in (folder / name).glob(f"*/{name}-*.array_record*")}
    return max(versions, key=_version, default=None)


def read_prepared(name: str, split: str, folder: Path, announce: Callable[[str], None]) -> Dataset:
    """The split of a prepared data set as arrays.

    Raises:
      InputError: the data set has no such split, or is damaged.
    """
    records = sorted(folder.glob(f"{name}-{split}.array_record*"))
    if not records:
        raise InputError(f"{folder} has no split {split!r}.")
    digest = sha256(b"".join(sha256(path.read_bytes()).digest() for path in records)).hexdigest()
    cached = cache_folder() / "decoded" / f"{name}-{split}-{digest[:16]}.npz"
    arrays = _read_cache(cached)
    if arrays is None:
        arrays = _decode(name, split, folder, announce)
        _write_cache(cached, arrays)
    return make_dataset(
        arrays["image"], arrays.get("label"), source=f"TFDS {folder.parent.name} {folder.name} in {folder}", split=split
    )


def _decode(name: str, split: str, folder: Path, announce: Callable[[str], None]) -> dict[str, np.ndarray]:
    import absl.logging

    tfds: Any = import_module("tensorflow_datasets")
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        source = tfds.builder_from_directory(str(folder)).as_data_source(split)
        announce(f"Decoding {len(source):,} images of {name} once; they are cached as an array")
        examples = [(example["image"], example.get("label", -1)) for example in source]
    except Exception as error:
        raise InputError(f"{folder} cannot be read as a prepared data set: {first_line(error)}") from error
    image, label = (np.array(column) for column in zip(*examples, strict=True))
    return {"image": image, "label": label.astype(np.int32)} if (label >= 0).all() else {"image": image}


def _read_cache(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _write_cache(path: Path, arrays: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: np.savez(file, **arrays))
    except OSError:
        return  # a cache that cannot be written costs time, nothing else


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in folder.name.split("."))
