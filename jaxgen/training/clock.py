"""The clock of a run: its speed, the time that is left, and when it is over."""

import time
from collections.abc import Callable

from jaxgen.training.config import RunConfig


class Clock:
    """Measures the time from one `tick` to the next; estimates leave out the first, in which programs are compiled.

    A run is over when its steps or its minutes are, whichever is first.
    """

    def __init__(self, config: RunConfig, step: int, began: float, clock: Callable[[], float] = time.monotonic):
        self._config, self._began, self._clock = config, began, clock
        self._deadline = began + 60 * config.max_minutes
        self._step, self._time = step, clock()
        self._intervals: list[tuple[int, float]] = []

    def tick(self, step: int, now: float) -> dict[str, float]:
        """Records that `step` ended at `now`; returns the speed since the last tick and the seconds of the run."""
        self._intervals.append((step - self._step, max(now - self._time, 1e-6)))
        self._step, self._time = step, now
        steps, seconds = self._intervals[-1]
        speed = steps * self._config.batch_size / seconds
        return {"time/images_per_second": round(speed, 1), "time/seconds": round(now - self._began, 2)}

    def remaining(self) -> tuple[float, float]:
        """The fraction of the run that is done, and the seconds left."""
        steps, seconds = map(sum, zip(*(self._intervals[1:] or self._intervals), strict=True))
        by_steps = (self._config.steps - self._step) * seconds / max(1, steps)
        left = max(0.0, min(by_steps, self._deadline - self._time))
        elapsed = self._time - self._began
        return elapsed / (elapsed + left), left

    def is_over(self) -> bool:
        """Whether the next dispatch would end too late; another one may still be running at the time of the call."""
        usual = self._intervals[-1][1] if len(self._intervals) > 1 else 0.0
        return self._clock() + 2 * usual > self._deadline
