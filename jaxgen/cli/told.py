"""What the command line tells a conditional model."""

from pathlib import Path

import numpy as np

from jaxgen.condition import require_labels
from jaxgen.data import read_features
from jaxgen.errors import InputError
from jaxgen.export import Told


def given_field(
    run: Path, told: Told | None, label: tuple[int, ...], features: Path | None, num: int
) -> np.ndarray | None:
    """What each of `num` images is told, [num, ...]: labels (all by default) or features in turn, or nothing.

    Raises:
      InputError: an option that does not go with the run, or that is missing.
    """
    if label and (told is None or not told.classes):
        raise InputError(f"--label {label[0]}: {run} is not conditioned on labels.")
    if features and (told is None or told.classes):
        raise InputError(f"--features {features}: {run} is not conditioned on features.")
    if told is None:
        return None
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
