"""What the command line tells a conditional model."""

from pathlib import Path

import numpy as np

from jaxgen.condition import require_labels
from jaxgen.data import load, read_features
from jaxgen.errors import InputError
from jaxgen.export import Told


def given_field(
    run: Path, told: Told | None, label: tuple[int, ...], features: Path | None, num: int, *, images: str = ""
) -> np.ndarray | None:
    """What each of `num` images is told, [num, ...]: labels (all by default), features or images in turn, or nothing.

    Raises:
      InputError: an option that does not go with the run, or that is missing.
    """
    if label and (told is None or not told.classes):
        raise InputError(f"--label {label[0]}: {run} is not conditioned on labels.")
    if features and (told is None or told.field != "features"):
        raise InputError(f"--features {features}: {run} is not conditioned on features.")
    if images and (told is None or told.field != "image"):
        raise InputError(f"--images {images}: {run} makes images of nothing but a seed and what else it is told.")
    if told is None:
        return None
    if told.field == "image":
        return np.resize(_images(run, images, told), (num, *told.shape))
    if not told.classes:
        return np.resize(_features(run, features, told), (num, *told.shape))
    given = np.asarray(label or range(told.classes))
    require_labels(given, told.classes, f"--label {' '.join(map(str, label))}")
    return np.resize(given, num).astype(np.int32)


def _features(run: Path, path: Path | None, told: Told) -> np.ndarray:
    if path is None:
        raise InputError(f"--features is missing: {run} is conditioned on features.")
    features = read_features(path)
    if features.shape[1:] != told.shape:
        raise InputError(f"--features {path}: {features.shape[1]} a row; expected {told.shape[0]}.")
    return features


def _images(run: Path, path: str, told: Told) -> np.ndarray:
    if not path:
        raise InputError(f"--images is missing: {run} makes images of images.")
    data = load(path)
    if data.spec != told.shape:
        given, expected = ("x".join(map(str, shape)) for shape in (data.spec, told.shape))
        raise InputError(f"--images {path} are {given}; {run} takes {expected}.")
    return data.arrays["image"]
