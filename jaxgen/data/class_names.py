"""Names of classes: their order, those of known data sets, and labels by name."""

import re
from collections.abc import Sequence
from unicodedata import normalize

from jaxgen.io.errors import InputError

CLASS_NAMES = {
    "mnist": tuple(map(str, range(10))),
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
"""The names of the labels 0, 1, ... of data sets by name, as their authors publish them."""

SHOWN = 20
"""The most names that a message lists."""


def natural_order(name: str) -> tuple[list[str | int], str]:
    """The sorting key by which digits compare as numbers; names that differ in zeros alone compare as texts.

    >>> sorted(["10", "2", "02", "cat 10", "cat 9"], key=natural_order)
    ['02', '2', '10', 'cat 9', 'cat 10']
    """
    parts = re.split("([0-9]+)", name)  # texts at even places, digits at odd ones
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def label_of(word: str, class_names: Sequence[str], *, option: str = "--label") -> int:
    """The label that a word names: a whole number is the label itself, anything else the name of a class.

    `option` is where the word is from, in messages.

    Raises:
      InputError: no class has that name; the message lists the known names.
    """
    if re.fullmatch("[+-]?[0-9]+", word):
        return int(word)
    if word in class_names:
        return class_names.index(word)
    composed = [normalize("NFC", name) for name in class_names]  # as keyboards do and some file systems do not
    if normalize("NFC", word) in composed:
        return composed.index(normalize("NFC", word))
    expected = f"one of {listed(class_names)}" if class_names else "a number, since the classes have no names"
    raise InputError(f"{option} {word} names no class: expected {expected}.")


def listed(names: Sequence[str]) -> str:
    """The first names in one line, and how many more there are.

    >>> listed(("cat", "dog"))
    'cat, dog'
    """
    more, shown = len(names) - SHOWN, [_in_one_line(name) for name in names[:SHOWN]]
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _in_one_line(name: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)
