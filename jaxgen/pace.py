"""The clock of a run: how fast it is, how much is left, when it is over."""

import time

from jaxgen.config import RunConfig


class Pace:
    """Measures from one `tick` to the next.  A run is over when its steps or its minutes are, whichever is first."""

    def __init__(self, config: RunConfig, step: int, began: float):
        self._config, self._first, self._began = config, step, began
        self._deadline = began + 60 * config.max_minutes
        self._step, self._time = step, time.monotonic()
        self._interval = 0.0

    def tick(self, step: int) -> dict[str, float]:
        """Notes that `step` is done.  Seconds are those since this process began the run."""
        now = time.monotonic()
        self._interval = now - self._time
        images = (step - self._step) * self._config.batch_size
        self._step, self._time = step, now
        return {"images_per_second": round(images / self._interval, 1), "seconds": round(now - self._began, 2)}

    def remaining(self) -> tuple[float, float]:
        """The share of the run that is done, and the seconds left."""
        per_step = (self._time - self._began) / max(1, self._step - self._first)
        by_steps = (self._config.steps - self._step) * per_step
        left = max(0.0, min(by_steps, self._deadline - self._time))
        elapsed = self._time - self._began
        return elapsed / (elapsed + left), left

    def is_over(self) -> bool:
        """Whether the next dispatch would end after the last minute; one is still under way when this is asked."""
        return time.monotonic() + 2 * self._interval > self._deadline
