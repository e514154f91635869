"""Files that are written completely or not at all, names and paths of files, and the user's cache folder."""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

import platformdirs

from jaxgen.io.errors import InputError
from jaxgen.io.terminal import say

AnyPath = str | Path
"""The path of a file or a folder."""

SYSTEM = frozenset(
    (
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        *("__macosx", "@eadir", "lost+found"),
    )
)
"""Names, in lower case, that operating systems and network storage leave in folders."""


def is_hidden(name: str) -> bool:
    """Whether the name of a file or a folder begins with a dot, or is the operating system's."""
    return name.startswith(".") or name.lower() in SYSTEM


def write_whole(path: AnyPath, content: bytes | str | Callable[[BinaryIO], object]) -> None:
    """Writes a file under another name and renames it: a reader sees the old content or the new one.

    `content` may be a function that writes to the open file.  A missing folder is created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def without_brackets(folder: Path) -> Iterator[Path]:
    """The absolute path of a folder, which may not exist yet, without brackets: some libraries take them for patterns.

    Raises:
      OSError: the path has brackets, and the system makes no symbolic links.
    """
    if "[" not in str(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        link = Path(place) / "link"
        link.symlink_to(folder.parent, target_is_directory=True)
        yield link / folder.name


def expanded(path: AnyPath) -> Path:
    """The path with the home folder in the place of `~` or `~user` at its beginning.

    Raises:
      InputError: the path is empty or a URL, or there is no such user, or this one has no home folder.
    """
    if path == "":  # which a shell makes of a variable that is not set, and pathlib takes for the working directory
        raise InputError('A path is empty, as of an unset variable: give "." for the working directory.')
    # pathlib makes one slash of two, and then a folder `gs:`.  A single letter is a drive of Windows.
    if url := re.match("([A-Za-z][A-Za-z0-9+.-]+):/+", str(path)):
        raise InputError(
            f"{url[1]}://{str(path)[url.end() :]} is a URL, and --out and all other paths are those of a file system: "
            "mount the bucket as a folder and give that, or give a local folder and copy it afterwards."
        )
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = Path(path).parts[0]
        whose = "this user has no home folder" if user == "~" else f"the user {user[1:]} has no home folder here"
        raise InputError(f"{path}: {whose}: give the whole path in place of {user}.") from error


def cache_folder() -> Path:
    """The folder of jaxgen in the user's cache folder, or a temporary folder if there is none or it cannot be made."""
    try:
        folder = Path(platformdirs.user_cache_dir("jaxgen"))
    except RuntimeError:
        folder = Path("~")  # as older versions of platformdirs give it
    if folder.parts[0] == "~":
        return _temporary_cache("This user has no home folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary_cache(f"{folder} cannot be made")
    return folder


@cache
def _temporary_cache(because: str) -> Path:
    """A cache folder for this process, which is deleted at its end."""
    folder = Path(tempfile.mkdtemp(prefix="jaxgen-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    say(f"{because}: caching in {folder} until the end of this program; XDG_CACHE_HOME names a lasting folder")
    return folder
