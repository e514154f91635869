"""The run directory: every file of a run.

<run>/config.json    options, data and versions: see `jaxgen.training.provenance`
<run>/metrics.jsonl  a line of metrics for each dispatch
<run>/samples/       sample grids
<run>/losses.png     curves of the metrics; the recipe's further pictures beside it
<run>/checkpoints/   states
<run>/best/          the best state that was evaluated
<run>/sampler/       the exported sampler; the recipe's further exports beside it
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath, write_whole

FORMAT = 2
ADVICE = "choose another --out, or start over with --no-resume"


class RunDirectory:
    """The files of one run."""

    def __init__(self, path: AnyPath):
        self.path = Path(path).expanduser()
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.jsonl"
        self.samples = self.path / "samples"
        self.losses = self.path / "losses.png"
        self.checkpoints = self.path / "checkpoints"
        self.sampler = self.path / "sampler"
        self.best = self.path / "best"
        self._lock = FileLock(self.path / ".lock", blocking=False)

    def earlier(self) -> dict[str, Any] | None:
        """The `config.json` of the run that the directory holds; None if it is empty or new.

        Raises:
          InputError: it holds something else.
        """
        if not self.config.exists():
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise InputError(f"--out {self.path} exists and holds no run: choose an empty or a new folder.")
            return None
        try:
            record = json.loads(self.config.read_text())
            if not {"experiment", "config", "data", "recipe", "sessions"} <= record.keys():
                raise ValueError("another program wrote it")
        except (ValueError, AttributeError, OSError) as error:
            raise InputError(f"{self.config} is not a run's config ({error}): choose another --out.") from error
        return record

    def open(self) -> None:
        """Makes the directory and locks it for as long as this process lives, or until `close`.

        Raises:
          InputError: it cannot be written, or another process writes it.
        """
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout as error:
            raise InputError(f"--out {self.path} is being written by another process.") from error
        except OSError as error:
            raise InputError(f"--out {self.path} cannot be written: {error.strerror}.") from error

    def close(self) -> None:
        """Releases the lock."""
        self._lock.release()

    def write(self, record: Mapping[str, Any]) -> None:
        """Writes `config.json`."""
        write_whole(self.config, json.dumps(record, indent=2) + "\n")

    def set_aside(self) -> Path | None:
        """Renames the directory of an earlier run; returns its new path, or None if there was none.

        Raises:
          InputError: the directory holds something else, is being written, or cannot be moved.
        """
        if self.earlier() is None:
            return None
        path, number = self.path.resolve(), 1
        while (aside := path.with_name(f"{path.name}.{number}")).exists():
            number += 1
        self.open()
        try:
            return path.rename(aside)
        except OSError as error:
            raise InputError(f"--out {self.path} cannot be moved aside: {error.strerror}.") from error
        finally:
            self.close()

    def note(self, field: str, entry: Mapping[str, Any]) -> None:
        """Adds an entry to a list in `config.json`."""
        record = self.earlier() or {}
        self.write({**record, field: [*record.get(field, []), entry]})

    def log(self, row: Mapping[str, float]) -> None:
        """Adds a row to `metrics.jsonl`; a value that is not finite becomes null."""
        content = {name: value if math.isfinite(value) else None for name, value in row.items()}
        with self.metrics.open("a") as file:
            file.write(json.dumps(content) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `metrics.jsonl`, up to a line that a kill cut short."""
        rows = []
        for line in self.metrics.read_text().splitlines() if self.metrics.exists() else []:
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def grid(self, step: int) -> Path:
        """The path of the sample grid at a step."""
        return self.samples / f"step_{step:07}.png"

    def grids(self) -> list[Path]:
        """The sample grids in the order of their steps."""
        return sorted(self.samples.glob("step_*.png"))

    def rewind(self, step: int) -> None:
        """Deletes the rows of `metrics.jsonl` and the grids after a step, which a resumed run writes again."""
        for grid in self.grids():
            if int(grid.stem.removeprefix("step_")) > step:
                grid.unlink()
        kept = [row for row in self.rows() if row["step"] <= step]
        write_whole(self.metrics, "".join(json.dumps(row) + "\n" for row in kept))


def require_format(place: str, record: Mapping[str, Any], advice: str = "") -> None:
    """Refuses the `config.json` of a run whose checkpoints have another format.

    `place` names the run directory in the message; `advice` adds to what to do.

    Raises:
      InputError: naming both formats.
    """
    if (written := record.get("format", 1)) != FORMAT:
        raise InputError(
            f"{place} holds a run of format {written}; this jaxgen resumes format {FORMAT}: "
            f"go back to the code that wrote it{advice}."
        )


def require_same_run(path: Path, earlier: Mapping[str, Any], record: Mapping[str, Any], free: frozenset[str]) -> None:
    """Refuses to resume a run of another format, experiment, config, data or recipe.

    Fields of the config in `free` may differ.  Recipes are compared where the versions are the same.

    Raises:
      InputError: naming what differs.
    """
    require_format(f"--out {path}", earlier, f", {ADVICE}")
    if earlier["experiment"] != record["experiment"]:
        raise InputError(f"--out {path} holds a run of {earlier['experiment']}: choose another --out.")
    for field in sorted((earlier["config"].keys() | record["config"].keys()) - free):
        was, now = earlier["config"].get(field), record["config"].get(field)
        if was != now:
            raise InputError(f"--out {path} holds a run with {field} = {was}, not {now}: go back to it, {ADVICE}.")
    if earlier["data"]["digest"] != record["data"]["digest"]:
        raise InputError(f"--out {path} holds a run on other data ({earlier['data']['source']}): {ADVICE}.")
    same_versions = earlier["sessions"][-1]["versions"] == record["sessions"][-1]["versions"]
    if same_versions and earlier["recipe"] != record["recipe"]:
        raise InputError(f"--out {path} holds a run of another recipe (the code of its step has changed): {ADVICE}.")
