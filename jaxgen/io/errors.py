"""Errors that are no mistake of the program: the user's input, and failures of the machine."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager


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
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # TensorStore gives the system's number among much else in brackets.
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(number[1])) if number else re.split(r" \[\w+=", first_line(error))[0]


@contextmanager
def outside(what: str) -> Iterator[None]:
    """Turns every exception in the context into an `OutsideError`: '<what>: <reason>.'

    Raises:
      OutsideError: an exception was raised; one that is an `OutsideError` already is not changed.
    """
    try:
        yield
    except OutsideError:
        raise
    except Exception as error:
        raise OutsideError(f"{what}: {reason(error)}.") from error
