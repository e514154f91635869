"""The manifest of a checkpoint: what was saved, by what, and the SHA-256 of every file and of the manifest itself."""

import errno
import importlib.metadata
import json
import re
from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxgen.io.files import AnyPath
from jaxgen.io.system import write_through

MANIFEST, ARRAYS = "manifest.json", "arrays"
PACKAGES = ("jaxgen", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


class Part(NamedTuple):
    """A part of a checkpoint's files: that of process `number` of `processes`."""

    number: int = 0
    processes: int = 1


def record_files(folder: Path, part: Part) -> dict[str, tuple[str, int]]:
    """The SHA-256 and the size of the array files that a process wrote, which are then on the disk.

    Files that belong to no process in particular are the first one's.
    """
    names = [name for name in array_files(folder) if _writer(name) % part.processes == part.number]
    for name in names:
        write_through(folder / name)
    return {name: (digest(folder / name), (folder / name).stat().st_size) for name in names}


def write_manifest(
    folder: Path, step: int, leaves: Mapping[str, str], files: Mapping[str, tuple[str, int]], processes: int
) -> None:
    """Writes the manifest, which is then on the disk; `leaves` are the arrays' types, `files` are as recorded.

    Raises:
      OSError: a file was recorded that is not there, or the other way round.
    """
    if sorted(files) != array_files(folder):
        raise OSError("the files that the processes have written are not those that are there")
    content = {"step": step, "leaves": leaves, "processes": processes}
    content["versions"] = {name: importlib.metadata.version(name) for name in PACKAGES}
    content["devices"] = [device.device_kind for device in jax.devices()]
    content["files"] = {name: digest for name, (digest, _) in files.items()}
    content["sizes"] = {name: size for name, (_, size) in files.items()}
    (folder / MANIFEST).write_bytes(_encode(content))
    write_through(folder / MANIFEST)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The content of a checkpoint's manifest.

    Raises:
      ValueError, TypeError, KeyError: it is damaged.
      OSError: it cannot be read.
    """
    data = (folder / MANIFEST).read_bytes()
    content = json.loads(data)["content"]
    if data != _encode(content):
        raise ValueError(f"{folder / MANIFEST} is not what was written")
    return content


def find_damage(folder: AnyPath, part: Part = Part()) -> str | None:  # noqa: B008
    """Describes what is damaged in a checkpoint; None if every byte is as it was written.

    Of several processes each reads the array files of its own `part`.
    """
    name, folder = MANIFEST, Path(folder)
    try:
        content = read_manifest(folder)
        for name in sorted(content["files"])[part.number :: part.processes]:
            if (folder / name).stat().st_size < content["sizes"][name]:
                return f"{name} is truncated"
            if digest(folder / name) != content["files"][name]:
                return f"{name} is changed"
    except (ValueError, TypeError, KeyError):
        return f"{name} is changed or truncated"
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return f"{name} is missing"
    except OSError as error:
        # The disk has lost it.  Other reasons, such as a missing permission, are not the checkpoint's.
        if error.errno != errno.EIO:
            raise
        return f"{name} cannot be read"
    # Hidden files are not a checkpoint's: file managers and network disks leave them everywhere.
    others = [
        name for name in array_files(folder) if name not in content["files"] and not Path(name).name.startswith(".")
    ]
    return f"{others[0]} is not listed" if others else None


def array_files(folder: Path) -> list[str]:
    """The paths of all files of a checkpoint's arrays, ascending."""
    return sorted(path.relative_to(folder).as_posix() for path in (folder / ARRAYS).rglob("*") if not path.is_dir())


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _writer(name: str) -> int:
    """The number of the process that wrote a file, by which Orbax names it or its folder."""
    number = re.search(r"process_(\d+)(/|$)", name)
    return int(number[1]) if number else 0


def _encode(content: Mapping[str, Any]) -> bytes:
    digest = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({"content": content, "sha256": digest}, sort_keys=True, indent=1).encode()
