"""Where a data set comes from.

`mnist` and `fashion_mnist`, first that is there: prepared TFDS; the four IDX files; a download; for `mnist` the
embedded digits.  `cifar10`: prepared TFDS.  Anything else is a path: a folder of images or an `.npz`.
"""

from collections.abc import Callable
from pathlib import Path

from jaxgen.data.archive import read_archive
from jaxgen.data.dataset import Dataset
from jaxgen.data.digits import read_digits
from jaxgen.data.folder import read_folder
from jaxgen.data.mnist_files import download_files, find_files, read_files
from jaxgen.data.prepared import default_folder, find_prepared, read_prepared
from jaxgen.errors import InputError
from jaxgen.files import cache_folder

NAMES = ("mnist", "fashion_mnist", "cifar10")
SPLITS = ("train", "test")


def load(
    name: str,
    *,
    split: str = "train",
    data_dir: Path | None = None,
    offline: bool = False,
    announce: Callable[[str], None] = print,
) -> Dataset:
    """The split ('train' or 'test') of a data set by name, or a folder of images or an `.npz` by path.

    `data_dir` names the one folder to look in; without it TFDS's default folder, the cache and the network are tried.
    `announce` is told what takes long and what was chosen for want of better.

    Raises:
      InputError: the name is unknown, or the data are missing or damaged.
    """
    if split not in SPLITS:
        raise InputError(f"The split {split!r} is unknown: expected 'train' or 'test'.")
    if name not in NAMES:
        if data_dir is not None:
            raise InputError(f"--data-dir {data_dir} goes with {', '.join(NAMES)}; --data {name} is a path of its own.")
        return _from_path(name)
    data_dir = data_dir and data_dir.expanduser()
    if data_dir is not None and not data_dir.is_dir():
        raise InputError(f"--data-dir {data_dir} is no folder.")
    places = [default_folder(), cache_folder()] if data_dir is None else [data_dir]
    for place in places:
        if prepared := find_prepared(place, name):
            return read_prepared(name, split, prepared, announce)
    if name == "cifar10":
        raise InputError(
            f"cifar10 is not prepared in {places[0]}: give --data-dir, or prepare it with TFDS as array_record."
        )
    for place in places:
        if files := find_files(place, name, split):
            return read_files(name, split, files)
    if data_dir is not None:
        raise InputError(
            f"--data-dir {data_dir} holds neither {name}/<version>/*.array_record nor the IDX files ({split})."
        )
    if not offline and (files := download_files(name, split, announce)):
        return read_files(name, split, files)
    if name == "mnist" and split == "train":
        announce("Full MNIST was not found: using 5,000 embedded digits. For all 60,000 give --data-dir")
        return read_digits()
    raise InputError(
        f"{name} ({split}) was not found in {' or '.join(map(str, places))}: give --data-dir, or go online."
    )


def _from_path(name: str) -> Dataset:
    path = Path(name).expanduser()
    if path.is_dir():
        return read_folder(path)
    if path.is_file() and path.suffix == ".npz":
        return read_archive(path)
    if path.exists():
        raise InputError(f"--data {name} is neither a folder of images nor an .npz.")
    raise InputError(f"--data {name} is unknown: expected {', '.join(NAMES)}, a folder of images, or an .npz.")
