"""Arrays in an `.npz`: `image` (or `arr_0`) uint8 [N, H, W, C]; perhaps `label` (or `arr_1`) [N], `features` [N, F]."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Dataset, as_features, make_dataset
from jaxgen.io.errors import InputError, first_line
from jaxgen.io.files import AnyPath

NAMES = {"image": ("image", "arr_0"), "label": ("label", "arr_1"), "features": ("features",)}
"""The names that each array may have in the file, in order of preference."""


def read_archive(path: Path) -> Dataset:
    """The data set in an `.npz`.

    Raises:
      InputError: no valid `.npz`, or no images in it.
    """
    arrays = _read(path, NAMES, "image")
    return make_dataset(
        arrays["image"], arrays.get("label"), features=arrays.get("features"), source=str(path), split="all"
    )


def read_features(path: AnyPath) -> np.ndarray:
    """The features float32 [N, F] in an `.npz`, whatever else is in it.

    Raises:
      InputError: no valid `.npz`, or no features in it.
    """
    array = _read(Path(path), {"features": NAMES["features"]}, "features")["features"]
    return as_features(array, len(array), str(path))


def _read(path: Path, names: dict[str, tuple[str, ...]], needed: str) -> dict[str, np.ndarray]:
    arrays = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            there = set(archive.files)
            for name, spellings in names.items():
                for spelling in [spelling for spelling in spellings if spelling in there][:1]:
                    arrays[name] = archive[spelling]
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an .npz: {first_line(error)}") from error
    if needed not in arrays:
        expected = " or ".join(map(repr, names[needed]))
        raise InputError(f"{path} has {', '.join(sorted(there)) or 'nothing'}; expected {expected}.")
    return arrays
