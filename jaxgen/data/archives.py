"""Images in a `.zip`, a `.tar` or a `.tar.gz`, read where they are: nothing is unpacked to disk.

The files are listed as those of the unpacked folder would be.  If one folder holds the classes, or annotations, and
all else is in it, it takes the place of the archive's root.  Of files of one name the last counts, as in unpacking.
"""

import io
import os
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxgen.data.image_file import SUFFIXES
from jaxgen.data.image_options import MAX_PIXELS
from jaxgen.data.listing import ANNOTATIONS, LeftOut, Listing, arranged, is_image, may_annotate, stamp_of
from jaxgen.io.errors import InputError, refuse_damage
from jaxgen.io.files import is_hidden

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
MAX_FILE = 16 * MAX_PIXELS
"""The most bytes of one file in an archive."""
MAX_COMPRESSED_TAR = 2**32
"""The most bytes of all files in a compressed `.tar`, whose images are kept in memory."""
BLOCK = tarfile.BLOCKSIZE

Read = Callable[[], bytes]
"""Gives the content of a file in an archive."""


def list_archive(path: Path, announce: Callable[[str], None], suffixes: tuple[str, ...] = SUFFIXES) -> Listing:
    """The images, files with these `suffixes`, in an archive and in the folders inside it.

    Raises:
      InputError: no images, a damaged or encrypted archive, a name that leads outside it, a link, or a file that is too
        large.
    """
    hidden_names: set[str] = set()
    others: set[str] = set()
    members: dict[str, Read] = {}
    members_of = _zip_members if path.name.lower().endswith(".zip") else partial(_tar_members, suffixes=suffixes)
    with refuse_damage(path, "an archive"):
        for name, read in members_of(path):
            parts = _parts(path, name)
            hidden = next((number for number, part in enumerate(parts, start=1) if is_hidden(part)), 0)
            if hidden:
                hidden_names.add("/".join(parts[:hidden]))
            elif is_image(name, suffixes) or parts[-1] in ANNOTATIONS or may_annotate(name):
                members["/".join(parts)] = read
            else:
                others.add("/".join(parts))
    root = _root(list(members))
    inside = {name.removeprefix(root): read for name, read in members.items()}
    left_out = LeftOut(sorted(hidden_names), Counter())
    for name in others:
        left_out.add(name)
    names, beside = arranged(path, inside, left_out, announce, suffixes)
    stamp = partial(stamp_of, path.parent, [os.fsencode(path.name)])
    return Listing(path / root, names, beside, lambda name: io.BytesIO(inside[name]()), stamp, left_out)


def list_archives(
    folder: Path, announce: Callable[[str], None], suffixes: tuple[str, ...] = SUFFIXES
) -> Listing | None:
    """The images in all archives of a folder, as WebDataset's shards are; None if there are none.

    Raises:
      InputError: as `list_archive`.
    """
    archives = sorted(path for path in folder.iterdir() if path.name.lower().endswith(ARCHIVES) and path.is_file())
    listings = {path.name: list_archive(path, announce, suffixes) for path in archives if not is_hidden(path.name)}
    if not listings:
        return None

    for archive, files in listings.items():
        if whole := ANNOTATIONS & files.beside:
            raise InputError(
                f"{folder} holds several archives, and {archive} has a {min(whole)}, which is of one alone: give "
                f"{folder / archive}, or unpack them into one folder."
            )

    def open_in(name: str) -> BinaryIO:
        archive, _, inside = name.partition("/")
        return listings[archive].open(inside)

    names = [os.fsencode(f"{archive}/") + name for archive, files in listings.items() for name in files.names.tolist()]
    beside = frozenset(f"{archive}/{name}" for archive, files in listings.items() for name in files.beside)
    stamp = partial(stamp_of, folder, [os.fsencode(name) for name in listings])
    left_out = LeftOut([], Counter())
    for files in listings.values():
        left_out.hidden.extend(files.left_out.hidden)
        left_out.others.update(files.left_out.others)
    return Listing(folder, np.array(names), beside, open_in, stamp, left_out, depth=1)


def _root(names: list[str]) -> str:
    """The folder 'a/b/' that takes the place of the root: the only one at its level, with subfolders or metadata."""
    root = ""
    while True:
        below = [name.removeprefix(root).split("/") for name in names]
        tops = {parts[0] for parts in below}
        if len(tops) != 1 or any(len(parts) == 1 for parts in below):
            return root
        top = root + tops.pop() + "/"
        if not any(f"{top}{name}" in names for name in ANNOTATIONS) and any(len(parts) == 2 for parts in below):
            return root
        root = top


def _parts(path: Path, name: str) -> list[str]:
    """The parts of a relative path in an archive."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or not parts:
        raise InputError(f"{path}: the name {name!r} leads outside the archive; pack it again with relative names.")
    return parts


def _require_size(path: Path, name: str, size: int) -> None:
    if not 0 <= size <= MAX_FILE:
        raise InputError(f"{path}: {name} takes {size:,} bytes; at most {MAX_FILE:,} are read.")


def _zip_members(path: Path) -> Iterator[tuple[str, Read]]:
    """Names and contents of the files in a `.zip`, which stays open."""
    archive = zipfile.ZipFile(path)
    for member in archive.infolist():
        name = member.filename.replace("\\", "/")
        if name.endswith("/"):
            continue
        if member.flag_bits & 1:
            raise InputError(f"{path}: {name} is encrypted; pack it again without a password.")
        _require_size(path, name, member.file_size)
        yield name, partial(archive.read, member)


def _tar_members(path: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, Read]]:
    """Names and contents of the files in a `.tar`, or in a compressed one, whose images are read into memory."""
    compressed = not path.name.lower().endswith(".tar")
    seen: dict[str, Read] = {}
    total = 0
    with tarfile.open(path, "r:gz" if compressed else "r:") as archive:
        for member in archive:
            name = member.name
            total += max(member.size, 0)
            if compressed and total > MAX_COMPRESSED_TAR:
                raise InputError(f"{path} holds more than {MAX_COMPRESSED_TAR / 2**30:g} GiB: unpack it into a folder.")
            if member.issym() or member.issparse():
                kind = "a symbolic link" if member.issym() else "a sparse file"
                raise InputError(f"{path}: {name} is {kind}; pack the file itself (tar --dereference).")
            if member.islnk():
                if member.linkname not in seen:
                    raise InputError(f"{path}: {name} is a link to {member.linkname}, which is not in the archive.")
                seen[name] = seen[member.linkname]
            elif member.isreg():
                _require_size(path, name, member.size)
                seen[name] = _tar_content(path, archive, member, suffixes if compressed else None)
            else:
                continue
            yield name, seen[name]
        _require_end(archive, compressed=compressed)


def _tar_content(
    path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, suffixes: tuple[str, ...] | None
) -> Read:
    """What gives the content of a file; in a compressed archive, images with these `suffixes` are read now."""
    if suffixes is None:
        return partial(_slice, path, member.offset_data, member.size)
    if not (is_image(member.name, suffixes) or member.name.endswith(tuple(ANNOTATIONS)) or may_annotate(member.name)):
        return bytes
    file = archive.extractfile(member)
    assert file is not None
    content = file.read()
    return lambda: content


def _slice(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


def _require_end(archive: tarfile.TarFile, *, compressed: bool) -> None:
    """Refuses an archive that is cut off: tarfile takes a damaged header for the end."""
    file = archive.fileobj
    assert file is not None
    if compressed:
        while file.read(2**20) and file.tell() < MAX_COMPRESSED_TAR:  # at the end the checksum is checked
            pass
        return
    file.seek(archive.offset)
    if file.read(BLOCK) != bytes(BLOCK):
        raise tarfile.ReadError("it is cut off, or damaged in the middle")
