"""Statically binarised MNIST: 50,000 training, 10,000 validation and 10,000 test digits, black or white.

The benchmark of Salakhutdinov and Murray (2008), in Larochelle's files `binarized_mnist_{train,valid,test}.amat` of
zeros and ones, or as `binarized_mnist.npz` with `train`, `valid` and `test` uint8 [N, 98], eight pixels a byte.
"""

from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Dataset, make_dataset
from jaxgen.io.errors import refuse_damage

FILES = {"train": "train", "validation": "valid", "test": "test"}
"""The names of the splits in the files."""
ARCHIVE = "binarized_mnist.npz"
SIDE = 28
SOURCE = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"


def find_binarized(folder: Path, split: str) -> Path | None:
    """The file with that split in a folder; None if there is none."""
    names = (f"binarized_mnist_{FILES[split]}.amat", ARCHIVE)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_binarized(path: Path, split: str) -> Dataset:
    """The split as images of 0 and 255.

    Raises:
      InputError: the file is damaged, or another one.
    """
    with refuse_damage(path, "binarised MNIST"):
        bits = _packed(path, split) if path.suffix == ".npz" else _text(path)
    image = 255 * bits.reshape(-1, SIDE, SIDE, 1)
    return make_dataset(image, None, source=f"statically binarised MNIST in {path}", split=split)


def _packed(path: Path, split: str) -> np.ndarray:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        rows = archive[FILES[split]]
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != SIDE * SIDE // 8:
        raise ValueError(f"{rows.dtype}{list(rows.shape)}; expected uint8[N, {SIDE * SIDE // 8}]")
    return np.unpackbits(rows, axis=1)


def _text(path: Path) -> np.ndarray:
    characters = np.frombuffer(path.read_bytes(), np.uint8)
    digits = characters[characters > ord(" ")]
    if not np.isin(digits, (ord("0"), ord("1"))).all() or not digits.size or digits.size % (SIDE * SIDE):
        raise ValueError(f"expected rows of {SIDE * SIDE} zeros and ones")
    return digits.reshape(-1, SIDE * SIDE) - np.uint8(ord("0"))
