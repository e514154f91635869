"""Labels and captions of image files, in the conventions of others; the first one that is there counts.

Labels:
    dataset.json      {"labels": [["00000/img00000000.png", 6], ...]}, of StyleGAN and EDM; null for none
    image.cls         a whole number beside each image, of WebDataset
    subfolders        those at the top are classes, in natural order (2 before 10), if every image is in one

Captions:
    metadata.jsonl    a line {"file_name": ..., "text": ...} an image, of Hugging Face's imagefolder
    image.txt         a text beside each image, of WebDataset
"""

import json
import os
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from jaxgen.data.captions import read_captions, require_characters
from jaxgen.data.class_names import natural_order
from jaxgen.data.listing import CAPTION, CLASS, LABELS, METADATA, Listing
from jaxgen.io.errors import InputError, first_line

MOST_DIGITS = 9
"""Digits of a label."""


class Annotations(NamedTuple):
    """Labels int32 [N] and the names of their classes, N captions; None and empty where there are none."""

    labels: np.ndarray | None
    class_names: tuple[str, ...]
    captions: tuple[str, ...]


def annotations_of(files: Listing, announce: Callable[[str], None]) -> Annotations:
    """The labels and the captions of all images; announces those of which some images have none.

    Raises:
      InputError: they are damaged, or do not go with the images.
    """
    return Annotations(*labels_of(files, announce), captions_of(files, announce))


def labels_of(files: Listing, announce: Callable[[str], None]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The labels int32 [N] and the names of the classes; None and nothing if there are none.

    Raises:
      InputError: they are damaged, or do not go with the images.
    """
    names = _names(files)
    if LABELS in files.beside:
        return _from_json(files, names)
    if classes := _sidecars(files, names, CLASS, announce):
        return _numbered([_label(*both) for both in zip(names, classes, strict=True)], CLASS)
    return _from_folders(names, files.depth)


def captions_of(files: Listing, announce: Callable[[str], None]) -> tuple[str, ...]:
    """The captions of all images, or none.

    Raises:
      InputError: they are damaged, or do not go with the images.
    """
    names = _names(files)
    if METADATA in files.beside:
        return read_captions(files.read(METADATA), files.place, names)
    return _sidecars(files, names, CAPTION, announce)


def _names(files: Listing) -> list[str]:
    return [os.fsdecode(name) for name in files.names.tolist()]


def _sidecars(files: Listing, names: list[str], suffix: str, announce: Callable[[str], None]) -> tuple[str, ...]:
    """The texts of the files beside the images, without white space at the ends; empty if an image has none."""
    # Of a.TXT and a.txt the latter counts: capitals sort first.
    beside = sorted(path for path in files.beside if path.lower().endswith(suffix))
    stems = {PurePosixPath(path).with_suffix(""): path for path in beside}
    paths = [stems.get(PurePosixPath(name).with_suffix("")) for name in names]
    known = [path for path in paths if path is not None]
    if len(known) < len(paths):
        if known:
            announce(f"{len(known):,} of {len(paths):,} images in {files.place} have a {suffix}, and it is left out")
        return ()
    return tuple(_text(files, path) for path in known)


def _text(files: Listing, path: str) -> str:
    try:
        text = files.read(path).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{files.place / path} cannot be read as text: {error}; save it as UTF-8.") from error
    if not text:
        raise InputError(f"{files.place / path} is empty.")
    require_characters(text, str(files.place / path))
    return text


def _label(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS:
        raise InputError(f"The {CLASS} of {name} holds {text[:40]!r}; expected a whole number.")
    return int(text)


def _from_json(files: Listing, names: list[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    path = files.place / LABELS
    try:
        content: Any = json.loads(files.read(LABELS))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {first_line(error)}") from error
    pairs = content.get("labels", content) if isinstance(content, dict) else content
    if pairs is None:
        return None, ()
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise InputError(f'{path}: expected {{"labels": [["<file>", <whole number>], ...]}}, or null.')
    labels = dict(pairs)
    if double := next((name for name, label in pairs if labels[name] != label), None):
        raise InputError(f"{path} has two labels for {double}.")
    if missing := [name for name in names if name not in labels]:
        raise InputError(f"{path} has no label for {missing[0]} ({len(missing):,} images have none).")
    return _numbered([labels[name] for name in names], LABELS)


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and type(pair[1]) is int


def _numbered(labels: list[int], source: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels, and the numbers as names of the classes.

    Raises:
      InputError: a label is negative, or so large that most classes have no image.
    """
    low, high = min(labels), max(labels)
    if low < 0 or high >= 2 * len(labels) + 1000:
        raise InputError(f"{source}: the labels go from {low:,} to {high:,}; expected 0, 1, 2, ...")
    return np.array(labels, np.int32), tuple(map(str, range(high + 1)))


def _from_folders(names: list[str], depth: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    parts = [name.split("/") for name in names]
    if any(len(those) < depth + 2 for those in parts):
        return None, ()
    places = [os.fsencode(those[depth]).decode(errors="backslashreplace") for those in parts]
    class_names = tuple(sorted(set(places), key=natural_order))
    numbers = {place: number for number, place in enumerate(class_names)}
    return np.array([numbers[place] for place in places], np.int32), class_names
