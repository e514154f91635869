"""Ctrl-C and SIGTERM, as a value that the training loop reads."""

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Records the first signal while the context is open; a second one acts as usual.

    `signal` is the number of the signal, 0 if none came.
    """

    def __init__(self):
        self.signal = 0
        self._before = {}

    def __enter__(self) -> "Interruption":
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame) -> None:
        self.signal = number
        self.__exit__()
