"""The one error that is a user's and not a program's."""


class InputError(ValueError):
    """A mistake in what the user gave, told in one line: what was given, what was expected, what to do.

    Programs print it without a traceback and exit with code 2.
    """


def first_line(error: BaseException) -> str:
    """What an error of another library says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
