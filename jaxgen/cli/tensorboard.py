"""`python -m jaxgen tensorboard`: the metrics and sample grids of runs as TensorBoard's event files."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from jaxgen.cli.arguments import writing
from jaxgen.data.image_file import read_image
from jaxgen.explore.watched import find_runs
from jaxgen.io.errors import InputError
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

PAUSE = 5.0
"""Seconds between readings with --follow."""


@dataclass(frozen=True)
class TensorBoard:
    """Write the metrics and sample grids of runs as event files, for TensorBoard (`tensorboard --logdir OUT`) and what
    reads its files (`wandb sync OUT/RUN`).  A run that trains is neither slowed nor changed.
    """

    folder: Annotated[UserPath, tyro.conf.Positional] = Path("runs")
    """A run directory, or a folder of runs."""
    out: UserPath = Path("tensorboard")
    """A new folder, with a folder for each run."""
    follow: bool = False
    """Go on writing what the runs add, until Ctrl-C."""


def write_events(options: TensorBoard) -> None:
    """Writes the event files.

    Raises:
      InputError: there is no run, the folder exists or cannot be written, or the extra `tensorboard` is not installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: pip install 'jaxgen[tensorboard]'.") from error
    if not options.folder.is_dir() or not find_runs(options.folder):
        raise InputError(f"There is no run in {options.folder}.")
    if options.out.exists():
        raise InputError(f"--out {options.out} exists: choose a new folder.")
    events: dict[str, Events] = {}
    with writing(options.out):
        while True:
            for name, path in find_runs(options.folder).items():
                folder = path.resolve().name if name == "." else name
                if name not in events:
                    events[name] = Events(RunDirectory(path), SummaryWriter(str(options.out / folder)))
                events[name].read_on()
            if not options.follow:
                break
            time.sleep(PAUSE)
    for one in events.values():
        one.writer.close()
    say(f"{len(events):,} runs in {options.out}: tensorboard --logdir {options.out}")


class Events:
    """What was written of one run: up to which step its rows and its grids."""

    def __init__(self, run: RunDirectory, writer: "SummaryWriter"):
        self.run, self.writer, self.step, self.drawn = run, writer, 0, 0

    def read_on(self) -> None:
        """Writes the rows and grids since the last reading; TensorBoard takes back what a resumed run took back."""
        rows = self.run.rows()
        for row in rows:
            if row["step"] > self.step:
                for name, value in row.items():
                    if name != "step" and value is not None:
                        self.writer.add_scalar(name, value, row["step"])
        for grid in self.run.grids():
            step = int(grid.stem.removeprefix("step_"))
            if step > self.drawn:
                self.writer.add_image("samples", read_image(grid), step, dataformats="HWC")
                self.drawn = step
        step = max((row["step"] for row in rows), default=0)
        if step < self.step:
            self.drawn = min(self.drawn, step)
        self.step = step
        self.writer.flush()
