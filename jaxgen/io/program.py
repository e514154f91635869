"""Programs: a mistake of the user or a failure of the machine ends one with a line on stderr and an exit code.

A program's file ends with `command(main)`, where `main` reads the command line: experiments, benchmarks and
`python -m jaxgen` are such programs.  Exit codes:

    1      the machine failed: a full disk, a lost process, a training that diverged
    2      the user's input cannot be used
    130    Ctrl-C; a run in training saves first, and exits with 143 after SIGTERM
"""

import sys
from collections.abc import Callable
from typing import Any

from jaxgen.io.errors import InputError, OutsideError, reason

OUTSIDE, MISTAKE, INTERRUPTED = 1, 2, 130


def command(main: Callable[[], Any]) -> None:
    """Calls `main` and turns the errors of `jaxgen.io.errors` into messages and exit codes, without a traceback.

    Other exceptions are mistakes of the program and keep their traceback.
    """
    try:
        main()
    except InputError as error:
        _stop(str(error), MISTAKE)
    except OutsideError as error:
        _stop(str(error), OUTSIDE)
    except OSError as error:
        _stop(f"{error.filename}: {reason(error)}" if error.filename else reason(error), OUTSIDE)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _stop(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
