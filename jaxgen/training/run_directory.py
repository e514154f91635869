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
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath, expanded, is_hidden, write_whole

FORMAT = 2
MOST_STEPS = 2**31 - 1
ADVICE = "choose another --out, or start over with --no-resume"


class RunDirectory:
    """The files of one run."""

    def __init__(self, path: AnyPath):
        self.path = expanded(path)
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
            if foreign := self._foreign():
                what = "exists" if foreign == self.path else f"holds {foreign.relative_to(self.path).as_posix()}"
                raise InputError(f"--out {self.path} {what} and holds no run: choose an empty or a new folder.")
            return None
        try:
            return read_record(self.config)
        except (ValueError, RecursionError, OSError) as error:
            raise InputError(f"{self.config} is not a run's config ({error}): choose another --out.") from error

    def _foreign(self) -> Path | None:
        """The first file that keeps a run from beginning here.

        Hidden files, those that systems make on a new disk, and what `open` makes do not: a run may have ended between
        the claim of its directory and its beginning.
        """
        if not self.path.exists():
            return None
        if not self.path.is_dir():
            return self.path
        samples = self.samples.iterdir() if self.samples.is_dir() else ()
        entries = (*(path for path in sorted(self.path.iterdir()) if path != self.samples or path.is_file()), *samples)
        return next((path for path in entries if not is_hidden(path.name)), None)

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

    def withdraw(self) -> None:
        """Deletes the records of the run, so that another can begin here, unless a step was trained."""
        if not self.step() and not any(self.checkpoints.glob("*/")):
            self.metrics.unlink(missing_ok=True)
            self.config.unlink(missing_ok=True)

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

    def note_session(self, session: Mapping[str, Any]) -> None:
        """Replaces the last session in `config.json`, the one that runs."""
        if record := self.earlier():
            self.write({**record, "sessions": [*record["sessions"][:-1], session]})

    def log(self, row: Mapping[str, float]) -> None:
        """Adds a row to `metrics.jsonl`; a value that is not finite becomes null."""
        content = {name: value if math.isfinite(value) else None for name, value in row.items()}
        with self.metrics.open("a") as file:
            file.write(json.dumps(content) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `metrics.jsonl`, without lines that are not rows, such as one that a kill cut short."""
        lines = self.metrics.read_bytes().splitlines() if self.metrics.exists() else []
        return [row for line in lines if (row := _row(line))]

    def step(self) -> int:
        """The last step with metrics, 0 before the first."""
        return max((row["step"] for row in self.rows()), default=0)

    def grid(self, step: int) -> Path:
        """The path of the sample grid at a step."""
        return self.samples / f"step_{step:07}.png"

    def grids(self) -> list[Path]:
        """The sample grids in the order of their steps; files with other names are not the run's."""
        return [self.grid(step) for step in sorted(self._drawn())]

    def _drawn(self) -> list[int]:
        names = [re.fullmatch(r"step_(\d{7,})\.png", path.name) for path in self.samples.glob("step_*.png")]
        steps = [int(name[1]) for name in names if name]
        return [step for step in steps if self.grid(step).is_file()]

    def rewind(self, step: int) -> None:
        """Deletes the rows of `metrics.jsonl` and the grids after a step, which a resumed run writes again."""
        for drawn in self._drawn():
            if drawn > step:
                self.grid(drawn).unlink()
        kept = [row for row in self.rows() if row["step"] <= step]
        write_whole(self.metrics, "".join(json.dumps(row) + "\n" for row in kept))


def read_record(config: Path) -> dict[str, Any]:
    """The content of a `config.json`.

    Raises:
      ValueError, RecursionError, OSError: it cannot be read, or has not all entries.
    """
    record = json.loads(config.read_bytes())
    if not is_record(record):
        raise ValueError("damaged, or another program wrote it")
    return record


def is_record(record: Any) -> bool:
    """Whether the content of a JSON file has all entries of a `config.json`, of their types."""
    types = {"experiment": str, "config": dict, "data": dict, "recipe": str, "sessions": list}
    if not isinstance(record, dict) or not all(isinstance(record.get(name), kind) for name, kind in types.items()):
        return False
    sessions, setbacks = record["sessions"], record.get("setbacks", [])
    has_versions = all(isinstance(session, dict) and "versions" in session for session in sessions)
    return bool(sessions) and has_versions and {"source", "digest"} <= record["data"].keys() and type(setbacks) is list


def _row(line: bytes) -> dict[str, Any] | None:
    """A line of `metrics.jsonl`: a step, and by name numbers or None; None for any other line."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or type(row.get("step")) is not int or not 0 <= row["step"] <= MOST_STEPS:
        return None
    return row if all(value is None or _is_number(value) for value in row.values()) else None


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) <= MOST_STEPS)


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

    Fields of the config in `free` may differ, and a path may be typed from another working directory.  Recipes are
    compared where the versions are the same.

    Raises:
      InputError: naming what differs.
    """
    require_format(f"--out {path}", earlier, f", {ADVICE}")
    if earlier["experiment"] != record["experiment"]:
        raise InputError(f"--out {path} holds a run of {earlier['experiment']}: choose another --out.")
    for field in sorted((earlier["config"].keys() | record["config"].keys()) - free):
        was, now = earlier["config"].get(field), record["config"].get(field)
        places = [one.get("places", {}).get(field) for one in (earlier, record)]
        is_same_place = places[0] is not None and places[0] == places[1]
        if was != now and not is_same_place:
            raise InputError(f"--out {path} holds a run with {field} = {was}, not {now}: go back to it, {ADVICE}.")
    if earlier["data"]["digest"] != record["data"]["digest"]:
        raise InputError(f"--out {path} holds a run on other data ({earlier['data']['source']}): {ADVICE}.")
    same_versions = earlier["sessions"][-1]["versions"] == record["sessions"][-1]["versions"]
    if same_versions and earlier["recipe"] != record["recipe"]:
        raise InputError(f"--out {path} holds a run of another recipe (the code of its step has changed): {ADVICE}.")
