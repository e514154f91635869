"""Ctrl-C and requests to end, as a value that a long computation reads."""

import signal
from collections.abc import Sequence

from jaxgen.io.system import STOPPING, Handling


class Interruption:
    """Records the first signal while the context is open; a second one acts as usual.

    `signal` is the number of the signal, 0 if none came.  Outside the main thread none is recorded.
    """

    def __init__(self, signals: Sequence[signal.Signals] = STOPPING):
        self.signal = 0
        self._handling = Handling(self._note, signals)

    def __enter__(self) -> "Interruption":
        self._handling.__enter__()
        return self

    def __exit__(self, *exception) -> None:
        self._handling.__exit__()

    def _note(self, number: int, _frame) -> None:
        self.signal = number
        self.__exit__()
