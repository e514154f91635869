"""Captions: read with a folder of images, written for labels, split so that new combinations of words are held out."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np

from jaxgen.core.condition import require_labels
from jaxgen.data.dataset import Dataset, with_field
from jaxgen.data.listing import METADATA
from jaxgen.data.tokenizer import Tokenizer, train_tokenizer
from jaxgen.io.errors import InputError, first_line


class Wordings(NamedTuple):
    """Class names, and caption templates with {} in place of the name.

    Training captions use the templates `seen`; the templates `unseen` are for evaluation alone.
    """

    names: tuple[str, ...]
    seen: tuple[str, ...]
    unseen: tuple[str, ...] = ()

    def captions(self, labels: Iterable[int], *, unseen: bool = False) -> list[str]:
        """A caption for each label; a template serves as many labels in a row as there are names, then the next does.

        Raises:
          InputError: there are no such wordings, or a label has no name.
        """
        wordings, labels = self.unseen if unseen else self.seen, np.asarray(list(labels))
        if not wordings:
            raise InputError(f"There are no {'unseen' if unseen else 'seen'} wordings for {self.names[0]!r}.")
        require_labels(labels, len(self.names), "the names of the wordings")
        turns = (wordings[number // len(self.names) % len(wordings)] for number in count())
        return [wording.format(self.names[label]) for wording, label in zip(turns, labels.tolist(), strict=False)]


DIGITS = Wordings(
    names=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    seen=(
        "{}",
        "a {}",
        "the digit {}",
        "the number {}",
        "a handwritten {}",
        "a {} written by hand",
        "a picture of a {}",
        "the handwritten number {}",
        "an image of the digit {}",
        "a white {} on black",
    ),
    unseen=(
        "handwritten digit {}",
        "a picture of the number {} written by hand",
        "an image of a handwritten {}",
        "the digit {} in white on black",
        "please draw the number {} for me",
    ),
)
"""MNIST's labels; the last of the unseen wordings has words that no other has."""

CIFAR10 = Wordings(
    names=("airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    seen=("{}", "a {}", "a photo of a {}", "a small picture of a {}", "one {} in colour", "this is a {}"),
    unseen=(
        "a small photo of a {}",
        "this is a photo of one {}",
        "a picture of a {} in colour",
        "please show me a {}",
    ),
)
"""CIFAR-10's labels; the last of the unseen wordings has words that no other has."""


def read_captions(content: bytes, folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The captions of a folder's images `names`, in that order, from the content of its `metadata.jsonl`.

    Names are compared in Unicode's composed form: file systems differ in how they store accents.

    Raises:
      InputError: a line that is not such a record, an image without a caption, a caption without its image or for one
        outside the folder, or two captions for one image.
    """
    path, captions, lines_of = folder / METADATA, {}, {}
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} cannot be read as text: {error}; save it as UTF-8.") from error
    there = {normalize("NFC", name): name for name in names} | {name: name for name in names}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        given, text = _record(f"{path}, line {number}", line)
        if Path(given).is_absolute() or ".." in Path(given).parts:
            raise InputError(f"{path}, line {number}: {given} is outside the folder.")
        given = Path(given).as_posix()
        name = there.get(given) or there.get(normalize("NFC", given))
        if name is None:
            raise InputError(f"{path}, line {number}: there is no image {given} in {folder}.")
        if captions.setdefault(name, text) != text:
            raise InputError(f"{path}, line {number}: {given} has a caption already, in line {lines_of[name]}.")
        lines_of.setdefault(name, number)
    if missing := [name for name in names if name not in captions]:
        raise InputError(f"{path} has no caption for {missing[0]} ({len(missing):,} images have none).")
    return tuple(captions[name] for name in names)


def require_characters(text: str, place: str) -> None:
    """Refuses a text with half of a surrogate pair, which no encoding of text has; `place` says where it is from.

    Raises:
      InputError: naming the place and the half.
    """
    half = next((character for character in text if "\ud800" <= character <= "\udfff"), None)
    if half is not None:
        raise InputError(f"{place}: \\u{ord(half):04x} is half of a character; write the text again, as UTF-8.")


def caption_labels(dataset: Dataset, wordings: Wordings, *, seed: int = 0) -> Dataset:
    """The data set with a caption for each label, in one of the seen wordings, chosen at random.

    Raises:
      InputError: no labels, or one without a name.
    """
    if "label" not in dataset.arrays:
        raise InputError(f"{dataset.source} has no labels that captions could be made of.")
    labels, names, seen = dataset.arrays["label"], wordings.names, wordings.seen
    if not seen:
        raise InputError(f"There are no seen wordings for the labels of {dataset.source}.")
    require_labels(labels, len(names), f"the names for {dataset.source}")
    chosen = np.random.default_rng(seed).integers(0, len(seen), dataset.size)
    captions = (seen[int(index)].format(names[int(label)]) for index, label in zip(chosen, labels, strict=True))
    return replace(dataset, captions=tuple(captions))


def with_text(dataset: Dataset, tokenizer: Tokenizer) -> Dataset:
    """The data set with `text` int32 [N, T], the tokens of its captions.

    Raises:
      InputError: it has no captions, one of them has no known word, or too many.
    """
    if not dataset.captions:
        raise InputError(f"{dataset.source} has no captions: a folder needs a {METADATA}.")
    text = tokenizer.encode(dataset.captions)
    if (empty := ~text.any(axis=1)).any():
        raise InputError(f"The caption {dataset.captions[int(empty.argmax())]!r} has no word of the vocabulary.")
    return replace(with_field(dataset, text=text), tokenizer=tokenizer)


def tokenized(dataset: Dataset, *, length: int, size: int) -> Dataset:
    """The data set with `text` int32 [N, length], by a tokenizer of at most `size` words that its captions train.

    Raises:
      InputError: it has no captions.
    """
    return with_text(dataset, train_tokenizer(dataset.captions, length=length, size=size))


def hold_out(text: np.ndarray, *, share: float, seed: int = 0, least: int = 3) -> np.ndarray:
    """Holds out about `share` of the different captions, tokens [N, T]; returns the mask [N] of their examples.

    Captions of the same words, in any order, are one combination, whose examples are all held out or none.  Each word
    of a combination that is held out is in at least `least` combinations that are not.  Short and long captions are
    held out in the same proportion, as far as the words allow.
    """
    combinations = [tuple(sorted(set(row) - {0})) for row in text.tolist()]
    different = sorted(set(combinations))
    counts = Counter(word for combination in different for word in combination)
    wanted = {length: share * number for length, number in Counter(map(len, different)).items()}
    taken, held_out = Counter(), set()
    for index in np.random.default_rng(seed).permutation(len(different)).tolist():
        combination = different[index]
        enough = all(counts[word] > least for word in combination)
        if enough and taken[len(combination)] < round(wanted[len(combination)]):
            taken[len(combination)] += 1
            held_out.add(combination)
            counts.subtract(combination)
    return np.array([combination in held_out for combination in combinations])


def _record(place: str, line: str) -> tuple[str, str]:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is no JSON: {first_line(error)}") from error
    if isinstance(record, Mapping):
        name, text = record.get("file_name"), record.get("text")
        if isinstance(name, str) and isinstance(text, str) and name.strip() and text.strip():
            require_characters(text, place)
            return name, text
    raise InputError(f"{place}: expected a file_name and a text that is not empty.")
