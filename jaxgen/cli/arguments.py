"""What all verbs read and write alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from jaxgen.data import Dataset, load
from jaxgen.io.errors import InputError
from jaxgen.io.files import write_whole

MOST_BYTES = 2**31
"""Of images that are read at once."""


def read_images(given: str, *, option: str = "--images", data_dir: Path | None = None, offline: bool = True) -> Dataset:
    """The images of a folder, an .npz or a data set by name, all in memory; `option` gave its name.

    Raises:
      InputError: there are none, they are damaged, or too many.
    """
    data = load(given, data_dir=data_dir, offline=offline, option=option, most_bytes=MOST_BYTES)
    if not isinstance(data, Dataset):
        raise InputError(f"{option} {given}: too many to be read at once.")
    return data


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Tells in one line that a file cannot be written.

    Raises:
      InputError: naming --out.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {error.strerror}.") from error


def save_features(out: Path, features: np.ndarray) -> None:
    """Writes features float32 [N, F] as `sample --features` reads them.

    Raises:
      InputError: the file cannot be written.
    """
    with writing(out):
        write_whole(out, lambda file: np.savez(file, features=features))


def require_suffix(out: Path, *suffixes: str) -> None:
    """Refuses a name of another kind of file.

    Raises:
      InputError: naming those that there are.
    """
    if out.suffix not in suffixes:
        raise InputError(f"--out {out}: expected a name that ends in {' or '.join(suffixes)}.")
