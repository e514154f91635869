"""Arrays in an `.npz`: `image` (or `arr_0`) uint8 [N, H, W, C], and perhaps `label` (or `arr_1`) [N]."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Dataset, make_dataset
from jaxgen.errors import InputError, first_line


def read_archive(path: Path) -> Dataset:
    """The data set in an `.npz`.

    Raises:
      InputError: no sound `.npz`, or no images in it.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = set(archive.files)
            image = next((archive[name] for name in ("image", "arr_0") if name in names), None)
            label = next((archive[name] for name in ("label", "arr_1") if name in names), None)
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an .npz: {first_line(error)}") from error
    if image is None:
        raise InputError(f"{path} has {', '.join(sorted(names)) or 'nothing'}; expected 'image' or 'arr_0'.")
    return make_dataset(image, label, source=str(path), split="all")
