"""Programs: a user's mistake is one line on stderr and exit code 2, never a traceback."""

import sys
from collections.abc import Callable
from typing import Any

from jaxgen.errors import InputError

MISTAKE, INTERRUPTED = 2, 130


def command(main: Callable[[], Any]) -> None:
    """Calls `main` as a program."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(MISTAKE)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)
