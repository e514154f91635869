"""Progress on the terminal: a live bar, or a line every ten seconds where the output is not a terminal."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

QUIET_SECONDS = 10.0


class Display:
    """The progress of a run, shown while the context is open."""

    def __init__(self, console: Console):
        self._console = console
        self._last = -QUIET_SECONDS
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}"), console=console
        )
        self._task = self._bar.add_task("starting", total=1.0, status="")

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *exception) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def show(
        self, step: int, losses: Mapping[str, float], images_per_second: float, done: float, seconds: float
    ) -> None:
        """Shows the step, the speed, the fraction of the run that is done (0 to 1), the seconds left and the losses."""
        values = "  ".join(f"{name.removesuffix('/loss')} {value:.3f}" for name, value in losses.items())
        speed, left = f"{images_per_second:,.0f} images/s", f"{_clock(seconds)} left"
        self._bar.update(self._task, description=f"step {step:,}", completed=done, status=f"{speed}  {left}  {values}")
        if not self._console.is_terminal and time.monotonic() - self._last >= QUIET_SECONDS:
            self._last = time.monotonic()
            self.say(f"step {step:,}  {done:.0%}  {speed}  {left}  {values}")

    def say(self, text: str) -> None:
        """Prints a line, above the bar if there is one."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
