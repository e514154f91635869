"""Programs: what the user or the machine got wrong is one line on stderr and an exit code, never a traceback."""

import sys
from collections.abc import Callable
from typing import Any

from jaxgen.io.errors import InputError, OutsideError, reason

OUTSIDE, MISTAKE, INTERRUPTED = 1, 2, 130


def command(main: Callable[[], Any]) -> None:
    """Calls `main` as a program."""
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


def _stop(told: str, code: int) -> None:
    print(f"error: {told}", file=sys.stderr)
    sys.exit(code)
