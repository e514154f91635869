"""What run directories tell while they are written: records, curves and grids.  Nothing is locked or changed."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.training.run_directory import MOST_STEPS, RunDirectory, read_record

EXPORTS = ("sampler", "controls", "denoiser", "autoguided", "restorer", "stylizer", "frames")
"""The functions that the page draws by."""

MOST_POINTS = 1_000
"""Points of a curve on the page; of longer ones the means of as many stretches are sent."""

DEPTH = 3
"""How far below the folder runs are found."""

ALIVE = 90.0
"""Seconds after its last line of metrics for which a run counts as training."""

MOST_RECORD = 10_000_000
"""Bytes of a `config.json`; a larger one is another program's."""

MOST = 1e300
"""A larger number counts as infinite: the sum of a stretch would be."""


def find_runs(root: Path) -> dict[str, Path]:
    """The run directories in a folder, or the folder itself, by their paths below it; those that can be read."""
    return {path.relative_to(root).as_posix(): path for path in sorted(_runs_below(root, DEPTH))}


def _runs_below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        if (folder / "config.json").is_file():
            yield folder
            return
        inside = [inner for inner in folder.iterdir() if inner.is_dir() and not inner.is_symlink()] if depth else []
    except OSError:  # it is not ours, or was deleted meanwhile
        return
    for inner in inside:
        if not inner.name.startswith("."):
            yield from _runs_below(inner, depth - 1)


def describe(path: Path) -> dict[str, Any]:
    """The record of a run: what it is, how far it is, how it does.

    Raises:
      ValueError, OSError: it is no run, or its record is damaged.
    """
    if (path / "config.json").stat().st_size > MOST_RECORD:
        raise ValueError("it is too large for the record of a run")
    directory, record = RunDirectory(path), read_record(path / "config.json")
    config, last = record["config"], _last_row(directory.metrics)
    age = time.time() - directory.metrics.stat().st_mtime if directory.metrics.exists() else None
    step, steps = last.get("step", 0), config.get("steps") if type(config.get("steps")) is int else None
    return {
        "experiment": record["experiment"],
        "config": config,
        "data": record["data"].get("source"),
        "versions": record["sessions"][-1]["versions"],
        "devices": record["sessions"][-1].get("devices", []),
        "step": step,
        "steps": steps,
        "last": last,
        "age": age,
        "is_training": age is not None and age < ALIVE and step < (steps or 0),
        "signs": [*_setbacks(record), *_reports(path)],
        "grids": [int(grid.stem.removeprefix("step_")) for grid in directory.grids()],
        "measures": _measures(path),
        "exports": [name for name in EXPORTS if (path / name / "signature.json").is_file()],
    }


def _last_row(metrics: Path) -> dict[str, Any]:
    """The last row of the metrics, read from the end of the file."""
    if not metrics.exists():
        return {}
    with metrics.open("rb") as file:
        file.seek(max(0, metrics.stat().st_size - 2**16))
        lines = file.read().splitlines()
    return next((row for line in reversed(lines) for row in _rows_of(line)), {})


def _setbacks(record: Mapping[str, Any]) -> list[str]:
    return [f"Went back to an earlier checkpoint: {setback}" for setback in map(_in_words, record.get("setbacks", []))]


def _in_words(setback: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in setback.items()) if type(setback) is dict else str(setback)


def _reports(path: Path) -> list[str]:
    """The first two lines of each report of divergence."""
    signs = []
    for report in sorted(path.glob("divergence_*/report.md")):
        lines = [line.strip("# ") for line in report.read_text(errors="replace").splitlines() if line.strip()]
        signs.append(". ".join(line.rstrip(".") for line in lines[:2]) + ".")
    return signs


def _measures(path: Path) -> dict[str, Any]:
    """The results of evaluations beside a run, by name: values, with standard errors where they are known."""
    found = {}
    for name in ("evaluation.json", "test.json", "held_out.json"):
        content = _content(path / name)
        found |= dict(_numbers(content.get("measures", content), ""))
    scores = _content(path / "best" / "scores.json")
    return found | {f"best {name}": {"value": value} for name, value in scores.items() if type(value) is float}


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, OSError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _numbers(content: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict) and type(content.get("value")) in (int, float):
        error = content.get("standard_error")
        yield prefix, {"value": content["value"], "error": error if _is_finite(error) else None}
    elif isinstance(content, dict):
        for name, inner in content.items():
            yield from _numbers(inner, f"{prefix} {name}".strip())


class Curves:
    """The metrics of a run as columns, read on from where the last reading ended."""

    def __init__(self, path: Path):
        self.path, self.offset, self.rows, self.file_id = path, 0, [], 0
        self._lock = threading.Lock()

    def read(self) -> dict[str, Any]:
        """`step` and `curves` by name, of at most MOST_POINTS points each; a missing number is null."""
        with self._lock:  # two pages may ask at once
            self._read_on()
            return self._thinned()

    def _read_on(self) -> None:
        found = self.path.stat() if self.path.exists() else None
        size, file_id = (found.st_size, found.st_ino) if found else (0, 0)
        if size < self.offset or file_id != self.file_id:  # a resumed run has taken rows back
            self.offset, self.rows, self.file_id = 0, [], file_id
        if size > self.offset:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                text = file.read(size - self.offset)
            whole = text[: text.rfind(b"\n") + 1]
            self.offset += len(whole)
            self.rows += _rows_of(whole)

    def _thinned(self) -> dict[str, Any]:
        names = dict.fromkeys(name for row in self.rows for name in row if name != "step")
        step = np.array([row["step"] for row in self.rows], np.float64)
        count = min(len(step), MOST_POINTS)
        starts = np.arange(count) * len(step) // max(count, 1)
        curves = {}
        for name in names:
            means = _means(np.array([row.get(name) for row in self.rows], np.float64), starts)
            curves[name] = [None if np.isnan(mean) else float(f"{mean:.6g}") for mean in means]
        ends = [*starts[1:], len(step)][:count]
        return {"step": [int(step[end - 1]) for end in ends], "curves": curves}


def _means(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The means of the known values of the stretches that begin at `starts`; NaN where none is known."""
    if not len(values):
        return values
    known = ~np.isnan(values)
    sums, counts = (np.add.reduceat(part, starts) for part in (np.where(known, values, 0), known.astype(np.float64)))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _rows_of(lines: bytes) -> list[dict[str, Any]]:
    """The rows with a step in lines of metrics; what is not a finite number in them is None."""
    try:
        rows = json.loads(b"[" + b",".join(lines.splitlines()) + b"]")
    except (ValueError, RecursionError):  # a line that a kill cut short
        rows = list(_one_by_one(lines.splitlines()))
    rows = [row for row in rows if isinstance(row, dict) and type(row.get("step")) is int]
    return [
        {name: value if _is_finite(value) else None for name, value in row.items()}
        for row in rows
        if 0 <= row["step"] <= MOST_STEPS
    ]


def _one_by_one(lines: list[bytes]) -> Iterator[Any]:
    for line in lines:
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= MOST
