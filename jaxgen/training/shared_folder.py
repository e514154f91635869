"""A folder that all processes of a run see: a disk of one host cannot hold the shards of the others."""

import secrets
import time
from pathlib import Path

from jaxgen.io.errors import InputError
from jaxgen.training.processes import Host

TOKEN, PATIENCE_SECONDS = ".token", 20
"""Network disks may show a new file to other hosts only after seconds."""


def require_shared(option: str, folder: Path, host: Host, *, patience: float = PATIENCE_SECONDS) -> None:
    """Checks that all processes see the first one's folder, which exists; `option` names it in the message.

    Raises:
      InputError: a process does not see it.
    """
    if host.processes == 1:
        return
    token, path = host.texts(secrets.token_hex(8))[0], folder / TOKEN
    host.agree_on_first(lambda: path.write_text(token))

    def look() -> None:
        deadline = time.monotonic() + patience
        while not _holds(path, token):
            if time.monotonic() > deadline:
                raise InputError(
                    f"{option} {folder} is not the folder of process 0, as each process writes its part of the "
                    "checkpoints: give a folder that all hosts share, such as one on a network disk."
                )
            time.sleep(0.1)

    try:
        host.agree(look)
    finally:
        if host.is_first:
            path.unlink(missing_ok=True)


def _holds(path: Path, token: str) -> bool:
    try:
        return path.read_text() == token
    except (OSError, ValueError):
        return False
