"""Programs: a mistake of the user or a failure of the machine ends one with a line on stderr and an exit code.

A program's file ends with `command(main)`, where `main` reads the command line: experiments, benchmarks and
`python -m jaxgen` are such programs.  Exit codes:

    1      the machine failed: a full disk, no memory, a device that is not there, a training that diverged
    2      the user's input cannot be used
    130    Ctrl-C; a run in training saves first, and exits with 143 after SIGTERM
"""

import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from tyro.constructors import PrimitiveConstructorSpec

from jaxgen.io.errors import InputError, OutsideError, first_line, lacks_memory, reason
from jaxgen.io.files import expanded
from jaxgen.io.terminal import say

OUTSIDE, MISTAKE, INTERRUPTED = 1, 2, 130


class RefusedError(Exception):
    """Carries an `InputError` out of a parser that takes every `ValueError` for a failed attempt."""

    def __init__(self, error: InputError):
        super().__init__(str(error))
        self.error = error


def _from_command_line(words: list[str]) -> Path:
    try:
        return expanded(words[0])
    except InputError as error:
        raise RefusedError(error) from error


UserPath = Annotated[
    Path,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=_from_command_line,
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda path: [str(path)],
    ),
]
"""The type of every path on a command line: `~` is expanded, also where the shell leaves it, as in `--out=~/run`."""


def _size(words: list[str]) -> tuple[int, int]:
    sides = re.fullmatch(r"([0-9]{1,6})(?:x([0-9]{1,6}))?", words[0])
    if sides is None:
        raise RefusedError(InputError(f"--size {words[0]}: expected 64, or height x width, as in 64x96."))
    return int(sides[1]), int(sides[2] or sides[1])


UserSize = Annotated[
    tuple[int, int],
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="SIZE",
        instance_from_str=_size,
        is_instance=lambda value: isinstance(value, tuple) and len(value) == 2,
        str_from_instance=lambda size: ["x".join(map(str, size))],
    ),
]
"""The type of a size on a command line: `64` for a square, or height x width, as in `64x96`."""


class Ending(NamedTuple):
    """How a program ends: with this line on standard error, and this exit code."""

    line: str
    code: int


def command(main: Callable[[], Any]) -> None:
    """Calls `main` and turns the exceptions that `ending_of` knows into messages and exit codes, without a traceback.

    Other exceptions are mistakes of the program and keep their traceback.  Pillow's warnings about damaged metadata of
    images that it reads nevertheless are not shown.
    """
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    try:
        main()
    except (Exception, KeyboardInterrupt) as error:
        ending = ending_of(error)
        if ending is None:
            raise
        say(ending.line, error=True)
        sys.exit(ending.code)


def ending_of(error: BaseException) -> Ending | None:
    """The line and the exit code for an exception; None for a mistake of the program."""
    ending = _ending_of(error)
    # The name of a file may hold line breaks.
    return ending and ending._replace(line="\\n".join(ending.line.splitlines()))


def _ending_of(error: BaseException) -> Ending | None:
    if isinstance(error, RefusedError):
        error = error.error
    if isinstance(error, KeyboardInterrupt):
        return Ending("Interrupted.", INTERRUPTED)
    if isinstance(error, InputError):
        return Ending(f"error: {error}", MISTAKE)
    if lacks_memory(error):
        smaller = "--batch-size, --num or the images"
        return Ending(f"error: The memory is not enough ({first_line(error)}): make {smaller} smaller.", OUTSIDE)
    if isinstance(error, OutsideError):
        return Ending(f"error: {error}", OUTSIDE)
    if isinstance(error, OSError):
        return Ending("error: " + (f"{error.filename}: " if error.filename else "") + reason(error), OUTSIDE)
    return _without_backend(error)


def _without_backend(error: BaseException) -> Ending | None:
    """The ending where JAX has no device of the kind that was asked for."""
    message = re.sub(r" \(set JAX_PLATFORMS.*", "", first_line(error))
    frames = [frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, AssertionError) and frames[-1:] == ["jax._src.xla_bridge"]:
        message = "no such back end is installed"  # all that JAX says is that an assertion failed
    elif not (isinstance(error, RuntimeError) and message.startswith(("Unable to initialize back", "Unknown back"))):
        return None
    chosen = os.environ.get("JAX_PLATFORMS", "")
    where = f"JAX_PLATFORMS={chosen}" if chosen else "JAX"
    advice = "unset it or set it to cpu" if chosen else "set JAX_PLATFORMS=cpu"
    return Ending(f"error: {where}: {message.removesuffix('.')}: {advice}, or install JAX for that back end.", OUTSIDE)
