"""The image files in a folder.

Links are followed.  Names that begin with a dot, and what operating systems leave in folders, are left out.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np

from jaxgen.data.image_file import SUFFIXES
from jaxgen.io.errors import InputError, reason, refuse_damage
from jaxgen.io.files import is_hidden

METADATA, LABELS = "metadata.jsonl", "dataset.json"
ANNOTATIONS = frozenset((METADATA, LABELS))
"""Files of captions and of labels, at the top of a folder."""
CAPTION, CLASS = ".txt", ".cls"
SIDECARS = (CAPTION, CLASS)
"""Suffixes of files with the name of an image, which hold its caption or its label."""


class LeftOut(NamedTuple):
    """What is in a folder and no image: hidden and system entries, and the other files by extension."""

    hidden: list[str]
    others: Counter[str]

    def add(self, name: str) -> None:
        """Counts a file that is neither an image nor annotates one."""
        self.others[PurePosixPath(name).suffix.lower() or "no extension"] += 1


class Listing(NamedTuple):
    """Image files in a folder or an archive, and the files beside them that may hold their labels and captions.

    `names` are the images' relative paths as bytes [N], in the order of their parts: for millions a list of paths would
    take gigabytes.  `beside` are the paths of the others.  `open` opens any of them, from several threads at once.
    `stamp` changes whenever an image does, and reads none.  `depth` is the number of parts at the beginning of a path
    that name no class.  `left_out` is all else that is there.
    """

    place: Path
    names: np.ndarray
    beside: frozenset[str]
    open: Callable[[str], BinaryIO]
    stamp: Callable[[], str]
    left_out: LeftOut
    depth: int = 0

    def path(self, name: bytes) -> Path:
        """The path of a file, for errors."""
        return self.place / os.fsdecode(name)

    def read(self, name: str) -> bytes:
        """The content of a file beside the images.

        Raises:
          InputError: it cannot be read.
        """
        with refuse_damage(self.place / name, "text"), self.open(name) as file:
            return file.read()


def list_folder(folder: Path, announce: Callable[[str], None], suffixes: tuple[str, ...] = SUFFIXES) -> Listing:
    """The images, files with these `suffixes`, of a folder and its subfolders.

    Raises:
      InputError: no images, a folder that cannot be listed, or a link that leads nowhere or back to a folder that it is
        in.
    """
    left_out = LeftOut([], Counter())
    files = list(_walk(folder, left_out, suffixes))
    names, beside = arranged(folder, files, left_out, announce, suffixes)
    stamp = partial(stamp_of, folder, names)
    return Listing(folder, names, beside, lambda name: (folder / name).open("rb"), stamp, left_out)


def arranged(
    place: Path,
    files: Iterable[str],
    left_out: LeftOut,
    announce: Callable[[str], None],
    suffixes: tuple[str, ...] = SUFFIXES,
) -> tuple[np.ndarray, frozenset[str]]:
    """The names of the images in order, and those of the files that annotate them; the others go to `left_out`.

    Raises:
      InputError: there are no images.
    """
    images, others = partition(files, lambda name: is_image(name, suffixes))
    stems = {PurePosixPath(name).with_suffix("") for name in images}
    beside, unused = partition(others, lambda name: name in ANNOTATIONS or PurePosixPath(name).with_suffix("") in stems)
    for name in unused:
        left_out.add(name)
    return sorted_names(place, images, left_out, announce, suffixes), frozenset(beside)


def partition(names: Iterable[str], test: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """The names that pass a test, and the others."""
    both: tuple[list[str], list[str]] = [], []
    for name in names:
        both[not test(name)].append(name)
    return both


def has_images(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    """Whether there is an image in a folder or its subfolders.

    Raises:
      InputError: as `list_folder`.
    """
    return any(is_image(name, suffixes) for name in _walk(folder, LeftOut([], Counter()), suffixes))


def is_image(name: str, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    """Whether the name of a file is that of an image."""
    return name.lower().endswith(suffixes)


def may_annotate(name: str) -> bool:
    """Whether the name of a file is that of one that may hold labels or captions."""
    return name in ANNOTATIONS or name.lower().endswith(SIDECARS)


def stamp_of(folder: Path, names: Iterable[bytes]) -> str:
    """The SHA-256 of the names, the sizes and the times of change of files in a folder.

    Raises:
      InputError: a file is gone.
    """
    digest = sha256()
    for name in names:
        path = folder / os.fsdecode(name)
        with refuse_damage(path, "an image"):
            status = path.stat()
        digest.update(name + f"\0{status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def sorted_names(
    place: Path,
    names: Iterable[str],
    left_out: LeftOut,
    announce: Callable[[str], None],
    suffixes: tuple[str, ...] = SUFFIXES,
) -> np.ndarray:
    """Names as bytes [N] in the order of their parts; announces the hidden entries.

    Raises:
      InputError: there are no names.
    """
    encoded = sorted(map(os.fsencode, names), key=lambda name: name.replace(b"/", b"\0"))
    if hidden := left_out.hidden:
        number, example = len(hidden), shown(os.fsencode(min(hidden)))
        entries = "hidden or system entry is" if number == 1 else "hidden or system entries are"
        announce(f"{number:,} {entries} left out of {shown(os.fsencode(place))}, e.g. {example}")
    if not encoded:
        others = ", ".join(f"{number:,} {suffix}" for suffix, number in left_out.others.most_common(3))
        instead = f"; it holds {others}" if others else ""
        raise InputError(f"{place} holds no images ({', '.join(suffixes)}){instead}.")
    return np.array(encoded)


def shown(name: bytes) -> str:
    """A file name as text that any terminal prints."""
    return name.decode("utf-8", "backslashreplace")


def _walk(folder: Path, left_out: LeftOut, suffixes: tuple[str, ...]) -> Iterator[str]:
    """The relative paths of the images in a folder, and of what may annotate them; all else goes to `left_out`."""
    pending = [("", frozenset(map(_identity, (folder.resolve(), *folder.resolve().parents))))]
    while pending:
        inside, above = pending.pop()
        for entry in _entries(folder / inside):
            name = inside + entry.name
            if is_hidden(entry.name):
                left_out.hidden.append(name)
            elif _is_folder(entry):
                if (identity := _identity(Path(entry.path))) in above:
                    raise InputError(f"{entry.path} is a link to a folder that it is in: remove the link.")
                pending.append((name + "/", above | {identity}))
            elif is_image(name, suffixes) or may_annotate(name):
                yield name
            else:
                left_out.add(name)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {reason(error)}; make it readable, or move it away.") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, perhaps by a link.

    Raises:
      InputError: the entry is a link that leads nowhere, or has an image's name but is no file.
    """
    try:
        if entry.is_dir():
            return True
        is_file, is_link = entry.is_file(), entry.is_symlink()
    except OSError as error:
        raise InputError(f"{entry.path} cannot be read: {reason(error)}; mend or remove it.") from error
    if is_link and not is_file:
        target = Path(entry.path).readlink()
        raise InputError(f"{entry.path} is a link to {target}, which is no file: mend or remove it.")
    if not is_file and (is_image(entry.name) or may_annotate(entry.name)):
        kind = "an image" if is_image(entry.name) else "a text"
        raise InputError(f"{entry.path} has {kind}'s name but is no file: remove it.")
    return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
