"""Damaged files, refused in one line whatever the library that reads them raises."""

from collections.abc import Iterator
from contextlib import contextmanager

from jaxgen.io.errors import InputError, first_line


@contextmanager
def refuse_damage(path: object, kind: str) -> Iterator[None]:
    """Turns every exception in the context into an `InputError`: '<path> cannot be read as <kind>: <first line>'.

    Raises:
      InputError: an exception was raised; one that is an `InputError` already is not changed.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # of whatever kind: NumPy, zipfile, zlib, Pillow and TFDS each have their own
        message = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise InputError(f"{path} cannot be read as {kind}: {message}") from error
