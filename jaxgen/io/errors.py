"""The errors that are not a program's: a user's, and the machine's."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """A mistake in what the user gave, told in one line: what was given, what was expected, what to do.

    Programs print it without a traceback and exit with code 2.
    """


class OutsideError(RuntimeError):
    """What the machine got wrong and not the user, told in one line: what could not be done, and why.

    Programs print it without a traceback and exit with code 1.
    """


def first_line(error: BaseException) -> str:
    """What an error of another library says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def reason(error: BaseException) -> str:
    """Why something failed, in one line: in the words of the operating system, if it was the one that refused."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # TensorStore gives the system's number among much else in brackets.
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(number[1])) if number else re.split(r" \[\w+=", first_line(error))[0]


@contextmanager
def outside(what: str) -> Iterator[None]:
    """Lays every failure within at the machine's door.

    Raises:
      OutsideError: what could not be done, and the reason; an inner one stays as it is.
    """
    try:
        yield
    except OutsideError:
        raise
    except Exception as error:
        raise OutsideError(f"{what}: {reason(error)}.") from error
