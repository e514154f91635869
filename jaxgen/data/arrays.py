"""Images as arrays, in an `.npz` or an `.npy`: their names there, and their layouts and values as in `pixels`.

    images      image, arr_0, images, x, X, data    of one split: x_train, x_val, x_test (or train_images, ...)
    labels      label, arr_1, labels, y, Y, targets               y_train, y_val, y_test (or train_labels, ...)
    features    features

Where several names are there, the first one counts.  An `.npy` holds images alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Dataset, as_features, make_dataset
from jaxgen.data.pixels import to_images
from jaxgen.io.errors import InputError, refuse_damage
from jaxgen.io.files import AnyPath

ARRAYS = (".npz", ".npy")
"""The suffixes of arrays."""
IMAGES = ("image", "arr_0", "images", "x", "X", "data")
LABELS = ("label", "arr_1", "labels", "y", "Y", "targets")
FEATURES = "features"
SPLITS = {
    split: ((f"x_{short}", f"X_{short}", f"{short}_images"), (f"y_{short}", f"Y_{short}", f"{short}_labels"))
    for split, short in (("train", "train"), ("validation", "val"), ("test", "test"))
}
"""The names of the images and of the labels of each split."""


def read_archive(path: Path, split: str, announce: Callable[[str], None]) -> Dataset:
    """The data set in an `.npz` or `.npy`: the given split if it has several, else all that it has.

    `announce` gets a line for what is assumed about the images.

    Raises:
      InputError: no valid file, no images in it, no such split, or images that `to_images` refuses.
    """
    chosen, read_split = _chosen(path, _names(path), split)
    arrays = _read(path, chosen)
    label = arrays.get("label")
    if label is not None and label.ndim == 2 and label.shape[1] == 1:
        label = label[:, 0]
    images = to_images(arrays["image"], str(path), announce)
    return make_dataset(images, label, features=arrays.get(FEATURES), source=str(path), split=read_split)


def read_features(path: AnyPath) -> np.ndarray:
    """The features float32 [N, F] in an `.npz`, whatever else is in it.

    Raises:
      InputError: no valid `.npz`, or no features in it.
    """
    path = Path(path)
    if FEATURES not in (there := _names(path)):
        raise InputError(f"{path} has {_listed(there)}; expected '{FEATURES}'.")
    array = _read(path, {FEATURES: FEATURES})[FEATURES]
    if array.ndim != 2 or not len(array):
        raise InputError(f"{path}: the features are {array.dtype}{list(array.shape)}; expected numbers [N, F].")
    return as_features(array, len(array), str(path))


def _chosen(path: Path, there: list[str], split: str) -> tuple[dict[str, str], str]:
    """The name in the file of each field, and the split that they are of."""
    splits = {name: [_first(kinds, there) for kinds in both] for name, both in SPLITS.items()}
    splits = {name: both for name, both in splits.items() if both[0]}
    image, label, read_split = _first(IMAGES, there), _first(LABELS, there), "all"
    if not image:
        if not splits:
            expected = ", ".join(map(repr, (*IMAGES, *(SPLITS[name][0][0] for name in SPLITS))))
            raise InputError(f"{path} has {_listed(there)}; expected images as one of {expected}.")
        read_split = split if len(splits) > 1 else next(iter(splits))
        if read_split not in splits:
            raise InputError(f"{path} has no {split} images; it has {' and '.join(splits)}.")
        image, label = splits[read_split]
    fields = {"image": image, "label": label, FEATURES: _first((FEATURES,), there)}
    return {field: name for field, name in fields.items() if name}, read_split


def _first(names: Sequence[str], there: list[str]) -> str:
    return next((name for name in names if name in there), "")


def _listed(names: list[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _names(path: Path) -> list[str]:
    if path.name.lower().endswith(".npy"):
        return ["image"]
    with _refuse_damage(path), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return list(archive.files)


def _read(path: Path, names: dict[str, str]) -> dict[str, np.ndarray]:
    """The arrays of the fields, by their names in the file."""
    with _refuse_damage(path), path.open("rb") as file:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {"image": content}
        with content as archive:
            arrays = {field: archive[name] for field, name in names.items()}
        for field, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{names[field]} is no array")
        return arrays


@contextmanager
def _refuse_damage(path: Path) -> Iterator[None]:
    with refuse_damage(path, f"an {path.suffix.lower() or '.npz'}"):
        try:
            yield
        except ValueError as error:
            if "pickle" in str(error):
                raise ValueError("it is damaged, or holds Python objects instead of numbers") from error
            raise
