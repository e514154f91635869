"""Files that are written completely or not at all, and the user's cache folder."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import platformdirs

AnyPath = str | Path
"""The path of a file or a folder."""


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


def cache_folder() -> Path:
    """The folder of jaxgen in the user's cache folder."""
    return Path(platformdirs.user_cache_dir("jaxgen"))
