"""What several verbs read and write alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Dataset
from jaxgen.data.image_options import AS_STORED, ImageOptions
from jaxgen.data.sources import load
from jaxgen.io.errors import InputError
from jaxgen.io.files import write_whole

MOST_BYTES = 2**31
"""The most bytes of images that are read at once."""


def read_images(
    name: str,
    *,
    option: str = "--images",
    data_dir: Path | None = None,
    offline: bool = True,
    images: ImageOptions = AS_STORED,
) -> Dataset:
    """The images of a folder, an archive or a data set by name, all in memory; `option` names them in errors.

    Raises:
      InputError: there are none, they are damaged, or they are too many.
    """
    data = load(name, data_dir=data_dir, offline=offline, option=option, most_bytes=MOST_BYTES, images=images)
    if not isinstance(data, Dataset):
        raise InputError(f"{option} {name}: more than {MOST_BYTES / 2**30:g} GiB of images, which are read at once.")
    return data


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Reports a file that cannot be written as an error of --out.

    Raises:
      InputError: naming the file and the reason.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {error.strerror}.") from error


def save_features(out: Path, features: np.ndarray) -> None:
    """Writes features float32 [N, F] in the layout that `sample --features` reads.

    Raises:
      InputError: the file cannot be written.
    """
    with writing(out):
        write_whole(out, lambda file: np.savez(file, features=features))


def require_suffix(out: Path, *suffixes: str) -> None:
    """Refuses a file name with another suffix.

    Raises:
      InputError: naming the expected suffixes.
    """
    if out.suffix not in suffixes:
        raise InputError(f"--out {out}: expected a name that ends in {' or '.join(suffixes)}.")


def require_run(run: Path) -> None:
    """Refuses a run directory that is not there.

    Raises:
      InputError: naming the directory.
    """
    if not run.is_dir():
        raise InputError(f"{run} is not a run directory.")
