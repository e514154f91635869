"""Errors that are no mistake of the program: the user's input, and failures of the machine."""

import importlib
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


class InputError(ValueError):
    """The user's input cannot be used.  One line: what was given, what was expected, what to do.

    Programs print it without a traceback and exit with code 2.
    """


class OutsideError(RuntimeError):
    """The machine failed, not the user.  One line: what could not be done, and why.

    Programs print it without a traceback and exit with code 1.
    """


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def reason(error: BaseException) -> str:
    """Why something failed, in one line: the operating system's message if it was the cause."""
    if strerror := getattr(error, "strerror", None):  # of an OSError, and of FFmpeg's errors
        return strerror
    # TensorStore gives the system's number among much else in brackets.
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(number[1])) if number else re.split(r" \[\w+=", first_line(error))[0]


def outside(what: str) -> AbstractContextManager[None]:
    """Turns every exception in the context into an `OutsideError`: '<what>: <reason>.'

    Raises:
      OutsideError: an exception was raised; one that is an `OutsideError` already is not changed.
    """
    return _every_error_as(OutsideError, what)


def refuse_damage(path: object, kind: str) -> AbstractContextManager[None]:
    """Turns every exception in the context into an `InputError`: '<path> cannot be read as <kind>: <reason>.'

    Raises:
      InputError: an exception was raised; one that is an `InputError` already is not changed.
    """
    return _every_error_as(InputError, f"{path} cannot be read as {kind}")


@contextmanager
def _every_error_as(error_type: type[InputError | OutsideError], what: str) -> Iterator[None]:
    try:
        yield
    except error_type:
        raise
    except Exception as error:  # of whatever kind: NumPy, zipfile, Pillow, TFDS and Orbax each have their own
        raise error_type(f"{what}: {reason(error).removesuffix('.')}.") from error


@contextmanager
def enough_memory(smaller: str) -> Iterator[None]:
    """Turns a lack of memory, of the host or of a device, into an `OutsideError` that says what to make smaller.

    Raises:
      OutsideError: the memory was not enough.
    """
    try:
        yield
    except Exception as error:
        if not lacks_memory(error):
            raise
        raise OutsideError(f"The memory is not enough ({first_line(error)}): make {smaller} smaller.") from error


def lacks_memory(error: BaseException) -> bool:
    """Whether an exception of Python, NumPy or XLA says that there is not enough memory."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in first_line(error)


def package(name: str, purpose: str) -> Any:
    """Imports a package that only some features need; `purpose` says which, as in "reads prepared data sets".

    Raises:
      OutsideError: it is not installed, or cannot be imported on this system.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        distribution = name.split(".", maxsplit=1)[0].replace("_", "-")
        why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"fails ({first_line(error)})"
        raise OutsideError(
            f"The package {distribution}, which {purpose}, {why}: pip install {distribution}."
        ) from error
