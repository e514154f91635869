"""The run directory: `config.json`, `metrics.jsonl`, `samples/`, `losses.png`, `checkpoints/`, `sampler/`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgen.errors import InputError
from jaxgen.files import write_whole


class RunDirectory:
    """The files of one run."""

    def __init__(self, path: Path):
        self.path = path
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.samples = path / "samples"
        self.losses = path / "losses.png"
        self.checkpoints = path / "checkpoints"
        self.sampler = path / "sampler"

    def open(self, record: Mapping[str, Any], *, free: frozenset[str]) -> None:
        """Makes the directory, or checks that it holds the same experiment with the same config.

        `record` goes into `config.json`; fields of its `config` in `free` may differ.

        Raises:
          InputError: it holds another run or something else, or cannot be written.

        """
        try:
            self.samples.mkdir(parents=True, exist_ok=True) if self._holds_run(record, free) else self._make()
            write_whole(self.config, json.dumps(record, indent=2) + "\n")
        except OSError as error:
            raise InputError(f"--out {self.path} cannot be written: {error.strerror}.") from error

    def _make(self) -> None:
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise InputError(f"--out {self.path} exists and holds no run; choose an empty or a new folder.")
        self.samples.mkdir(parents=True, exist_ok=True)

    def _holds_run(self, record: Mapping[str, Any], free: frozenset[str]) -> bool:
        if not self.config.exists():
            return False
        try:
            earlier = json.loads(self.config.read_text())
            experiment, config, data = earlier["experiment"], earlier["config"], earlier["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.config} is no run's config: {error}. Choose another --out.") from error
        if experiment != record["experiment"]:
            raise InputError(f"--out {self.path} holds a run of {experiment}; choose another --out.")
        for field in sorted((config.keys() | record["config"].keys()) - free):
            was, now = config.get(field), record["config"].get(field)
            if was != now:
                raise InputError(
                    f"--out {self.path} holds a run with {field} = {was}, not {now}: go on with the old value, "
                    "choose another --out, or start over with --no-resume."
                )
        if data["digest"] != record["data"]["digest"]:
            raise InputError(f"--out {self.path} holds a run on other data ({data['source']}); choose another --out.")
        return True

    def set_aside(self) -> Path | None:
        """Moves an earlier run out of the way; returns where to, or None if there was none."""
        if not self.config.exists():
            return None
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.{number}")).exists():
            number += 1
        self.path.rename(aside)
        return aside

    def log(self, row: Mapping[str, float]) -> None:
        """Adds a line to `metrics.jsonl`."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def rows(self) -> list[dict[str, float]]:
        """The lines of `metrics.jsonl`; one that a kill cut short ends the list."""
        rows = []
        for line in self.metrics.read_text().splitlines() if self.metrics.exists() else []:
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def rewind(self, step: int) -> None:
        """Drops the lines of `metrics.jsonl` after a step, which a resumed run will write again."""
        kept = [row for row in self.rows() if row["step"] <= step]
        write_whole(self.metrics, "".join(json.dumps(row) + "\n" for row in kept))
