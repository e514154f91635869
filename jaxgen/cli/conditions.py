"""What the command line tells a conditional model."""

import sys
from pathlib import Path

import numpy as np

from jaxgen.cli.arguments import read_images
from jaxgen.core.condition import require_labels
from jaxgen.data import read_features
from jaxgen.data.tokenizer import Tokenizer
from jaxgen.export import ConditionSpec
from jaxgen.io.errors import InputError


def fields_from_options(
    run: Path,
    told: ConditionSpec | None,
    num: int,
    *,
    label: tuple[int, ...],
    features: Path | None,
    text: tuple[str, ...],
    images: str = "",
) -> np.ndarray | None:
    """What each of `num` images is told, [num, ...]: labels (all by default), features, texts or images in turn.

    Nothing if there is nothing to tell.  Words that the run has never seen are named on stderr.

    Raises:
      InputError: an option that does not go with the run, or that is missing.
    """
    if label and (told is None or not told.classes):
        raise InputError(f"--label {label[0]}: {run} is not conditioned on labels.")
    if features and (told is None or told.field != "features"):
        raise InputError(f"--features {features}: {run} is not conditioned on features.")
    if images and (told is None or told.field != "image"):
        raise InputError(f"--images {images}: {run} makes images of nothing but a seed and what else it is told.")
    if text and (told is None or told.tokenizer is None):
        raise InputError(f"--text {text[0]!r}: {run} is not conditioned on text.")
    if told is None:
        return None
    if told.field == "image":
        return np.resize(_images(run, images, told), (num, *told.shape))
    if told.tokenizer is not None:
        return np.resize(_tokens(run, text, told.tokenizer), (num, *told.shape))
    if not told.classes:
        return np.resize(_features(run, features, told), (num, *told.shape))
    given = np.asarray(label or range(told.classes))
    require_labels(given, told.classes, f"--label {' '.join(map(str, label))}")
    return np.resize(given, num).astype(np.int32)


def _tokens(run: Path, text: tuple[str, ...], tokenizer: Tokenizer) -> np.ndarray:
    if not text:
        raise InputError(f'--text is missing: {run} is told words, e.g. --text "a red heart".')
    for one in text:
        if not one.strip():
            raise InputError(f"--text {one!r} is empty: expected words.")
        unknown = ", ".join(tokenizer.unknown_words(one))
        if not tokenizer.encode([one]).any():
            raise InputError(f"--text {one!r}: {run} has seen none of its words in training.")
        if unknown:
            print(f"--text {one!r}: left out, since never seen in training: {unknown}", file=sys.stderr)
    return tokenizer.encode(text)


def _features(run: Path, path: Path | None, told: ConditionSpec) -> np.ndarray:
    if path is None:
        raise InputError(f"--features is missing: {run} is conditioned on features.")
    features = read_features(path)
    if features.shape[1:] != told.shape:
        raise InputError(f"--features {path}: {features.shape[1]} a row; expected {told.shape[0]}.")
    return features


def _images(run: Path, path: str, told: ConditionSpec) -> np.ndarray:
    if not path:
        raise InputError(f"--images is missing: {run} makes images of images.")
    data = read_images(path)
    images, (height, width, channels) = data.arrays["image"], told.shape
    if data.spec == (height, width, 1):
        return np.repeat(images, channels, axis=-1)  # grey pictures are coloured ones too
    if data.spec != told.shape:
        given, expected = ("x".join(map(str, shape)) for shape in (data.spec, told.shape))
        raise InputError(f"--images {path} are {given}; {run} takes {expected}.")
    return images
