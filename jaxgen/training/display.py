"""Progress on the terminal: a live bar, or a line every ten seconds where the output is not a terminal."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from jaxgen.io.terminal import QUIET_SECONDS, SCREEN, clock_time, say


class Display:
    """The progress of a run, shown while the context is open."""

    def __init__(self, console: Console):
        self._console = console
        self._last = -QUIET_SECONDS
        self._is_alone = False
        description, status = (
            TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[status]}")
        )
        self._bar = Progress(description, BarColumn(), status, console=console)
        self._task = self._bar.add_task("starting", total=1.0, status="")

    def __enter__(self) -> "Display":
        self._is_alone = SCREEN.acquire(blocking=False)
        if self._console.is_terminal and self._is_alone:
            self._bar.start()
        return self

    def __exit__(self, *exception) -> None:
        if self._is_alone:
            self._bar.stop()
            SCREEN.release()

    def show(
        self, step: int, losses: Mapping[str, float], images_per_second: float, done: float, seconds: float
    ) -> None:
        """Shows the step, the speed, the fraction of the run that is done (0 to 1), the seconds left and the losses."""
        values = "  ".join(f"{name.removesuffix('/loss')} {value:.3f}" for name, value in losses.items())
        speed, left = f"{images_per_second:,.0f} images/s", f"{clock_time(seconds)} left"
        self._bar.update(self._task, description=f"step {step:,}", completed=done, status=f"{speed}  {left}  {values}")
        if not self._console.is_terminal and time.monotonic() - self._last >= QUIET_SECONDS:
            self._last = time.monotonic()
            self.say(f"step {step:,}  {done:.0%}  {speed}  {left}  {values}")

    def say(self, text: str) -> None:
        """Prints a line, above the bar if there is one."""
        say(text, console=self._console)
