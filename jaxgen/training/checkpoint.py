"""Checkpoints of a training state, each provably as it was written.

    <folder>/<step>/manifest.json    what was saved, by what, and the SHA-256 of every file and of this
    <folder>/<step>/arrays/          the leaves by their paths, as Orbax writes arrays: nothing is pickled
    <folder>/<step>.damaged/         one that was found damaged
    <folder>/.unfinished*            what a kill left; the next save removes it

A checkpoint is written in `.unfinished`, read back, and renamed, so that a folder with a step's name is complete.
`save` returns when that is done: a failure in the background could go unnoticed.

Of several processes each writes, reads and checks its own part, and what fails in one fails in all; the first makes,
renames and deletes the folders.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.tree import by_path, like, raw
from jaxgen.core.types import Array, PyTree, TrainState
from jaxgen.io.errors import InputError, first_line, outside
from jaxgen.io.files import AnyPath
from jaxgen.training import array_shards, manifest
from jaxgen.training.manifest import ARRAYS, Part, find_damage
from jaxgen.training.processes import Host

T = TypeVar("T")

UNFINISHED, DAMAGED = ".unfinished", "damaged"


class Retention(NamedTuple):
    """Which checkpoints are kept: the newest `last`, and those whose step is a multiple of `every` (0: none)."""

    last: int = 2
    every: int = 0


class Checkpoints:
    """The checkpoints of one run, by step; used by one run at a time.

    The processes of `host` share the folder, and all of them must make the same calls in the same order.
    """

    def __init__(self, folder: AnyPath, retention: Retention = Retention(), host: Host = Host()):  # noqa: B008
        self._folder, self._retention, self._host = Path(folder).absolute(), retention, host

    def steps(self) -> list[int]:
        """The steps that this process sees, ascending; `restore` checks whether they are sound."""
        return sorted(int(path.name) for path in self._folder.glob("*/") if re.fullmatch("0|[1-9][0-9]*", path.name))

    def save(self, state: TrainState, *, protect: int | None = None) -> None:
        """Saves the state under its step, unless a sound checkpoint is there, and deletes those not to be kept.

        The state's arrays are on the devices of all processes, or in NumPy.  The newest checkpoint at or before step
        `protect` is kept whatever the retention says.

        Raises:
          OutsideError: it cannot be written; the earlier checkpoints are unchanged.
        """
        step = int(state.step)
        if step not in self._agreed_steps() or self._damage(step):
            self._write(state)
        steps, (last, every) = self._agreed_steps(), self._retention
        regular = [other for other in steps if every and other % every == 0]
        guarded = [other for other in steps if protect is not None and other <= protect][-1:]
        kept = {step, *steps[::-1][:last], *regular, *guarded}
        self._delete(sorted({*steps} - kept))

    def rewind(self, state: TrainState) -> None:
        """Makes this state the newest: it replaces the checkpoint of its step, and later ones are deleted.

        Raises:
          OutsideError: it cannot be written; the earlier checkpoints are unchanged.
        """
        # The newest goes first: after a kill on the way an earlier one is the newest, and training goes back again.
        self._delete([step for step in reversed(self._agreed_steps()) if step > int(state.step)])
        self._write(state)

    def replace(self, state: TrainState) -> None:
        """Makes this state the only one.

        Raises:
          OutsideError: it cannot be written; what was saved before is unchanged.
        """
        self._write(state)
        self._delete([step for step in self._agreed_steps() if step != int(state.step)])

    def restore(
        self, target: TrainState, announce: Callable[[str], object], *, before: int | None = None
    ) -> TrainState | None:
        """The newest sound state, at or before step `before` if given; None if nothing was saved.

        `target` has leaves of the expected shapes and dtypes.  Those with shardings are read onto their devices, from
        whatever devices they were saved.  Damaged checkpoints are announced, renamed and skipped.

        Raises:
          InputError: the checkpoint does not fit the target, or all are damaged.
          OutsideError: a damaged checkpoint cannot be renamed.
        """
        steps = [step for step in self._agreed_steps() if before is None or step <= before]
        for step in reversed(steps):
            damage = self._damage(step)
            if damage is None:
                return self._host.agree(lambda step=step: self._read(step, target))
            aside = self._agreed(str(self._host.agree_on_first(lambda step=step: self._set_aside(step))))
            announce(f"{self._name(step)} is damaged: {damage}. It is now {aside}.")
        # Also where all were set aside before: a run must not begin anew on top of an earlier one.
        if steps or self._agreed("yes" if self._has_damaged() else ""):
            raise InputError(f"{self._folder} holds no intact checkpoint: start over with --no-resume.")
        return None

    def _name(self, step: int) -> str:
        return f"The checkpoint of step {step} in {self._folder}"

    def _agreed(self, text: str) -> str:
        """The first process's text: what others see of the folder may be older."""
        return self._host.texts(text)[0]

    def _agreed_steps(self) -> list[int]:
        return json.loads(self._agreed(json.dumps(self.steps())))

    def _has_damaged(self) -> bool:
        return any(re.fullmatch(rf"\d+\.{DAMAGED}(\.\d+)?", path.name) for path in self._folder.glob("*/"))

    def _damage(self, step: int) -> str | None:
        part = Part(self._host.number, self._host.processes)
        found = self._host.agree(lambda: find_damage(self._folder / str(step), part))
        return next(filter(None, self._host.texts(found or "")), None)

    def _write(self, state: TrainState) -> None:
        # A new name each time: threads of a save that failed may still be writing into its own.
        step, name = int(state.step), self._agreed(f"{UNFINISHED}.{time.time_ns()}")
        partial, leaves = self._folder / name, _arrays(state)
        part = Part(self._host.number, self._host.processes)
        try:
            self._on_first(step, lambda: self._make(partial))
            self._on_all(step, lambda: array_shards.write(partial / ARRAYS, leaves))
            self._on_first(step, lambda: array_shards.merge(partial / ARRAYS))
            self._on_all(step, lambda: array_shards.require_written(partial / ARRAYS, leaves))
            recorded = self._on_all(step, lambda: manifest.record_files(partial, part))
            parts = [json.loads(text) for text in self._host.texts(json.dumps(recorded))]
            files = {name: entry for part in parts for name, entry in part.items()}
            self._on_first(step, lambda: self._commit(partial, step, describe(by_path(state)), files))
        finally:
            if self._host.is_first:
                self._sweep()

    def _on_all(self, step: int, task: Callable[[], T]) -> T:
        def write() -> T:
            with outside(f"{self._name(step)} cannot be written"):
                return task()

        return self._host.agree(write)

    def _on_first(self, step: int, task: Callable[[], object]) -> None:
        self._on_all(step, lambda: task() if self._host.is_first else None)

    def _make(self, partial: Path) -> None:
        self._sweep()
        array_shards.prepare(partial / ARRAYS)

    def _commit(
        self, partial: Path, step: int, leaves: Mapping[str, str], files: Mapping[str, tuple[str, int]]
    ) -> None:
        manifest.write_manifest(partial, step, leaves, files, self._host.processes)
        if (self._folder / str(step)).exists():
            self._remove(step)
        partial.rename(self._folder / str(step))

    def _sweep(self) -> None:
        for leftover in [path for path in self._folder.glob("*/") if re.fullmatch(rf"{UNFINISHED}(\.\d+)?", path.name)]:
            shutil.rmtree(leftover, ignore_errors=True)

    def _delete(self, steps: list[int]) -> None:
        for step in steps:
            self._host.agree_on_first(lambda step=step: self._remove(step))

    def _remove(self, step: int) -> None:
        # Renamed first: a kill while the files go must not leave some of them under a step's name.
        with outside(f"{self._name(step)} cannot be deleted"):
            shutil.rmtree((self._folder / str(step)).rename(self._folder / f"{UNFINISHED}.{step}"))

    def _set_aside(self, step: int) -> str:
        """Renames a damaged checkpoint; returns its new name."""
        aside, number = self._folder / f"{step}.{DAMAGED}", 1
        while aside.exists():
            aside, number = self._folder / f"{step}.{DAMAGED}.{number}", number + 1
        with outside(f"{self._name(step)} is damaged and cannot be renamed"):
            return (self._folder / str(step)).rename(aside).name

    def _read(self, step: int, target: TrainState) -> TrainState:
        place, expected = self._folder / str(step), flatten(target)
        content = manifest.read_manifest(place)
        if difference := _difference(content["leaves"], describe(by_path(target))):
            advice = "go back to the code and options that saved it, or start over with --no-resume"
            raise InputError(f"{self._name(step)}: {difference}; {advice}.")
        try:
            arrays = array_shards.read(place / ARRAYS, expected)
        except Exception as error:
            advice = f"install orbax-checkpoint {content['versions']['orbax-checkpoint']}, which wrote it"
            raise InputError(f"{self._name(step)} cannot be read ({first_line(error)}): {advice}.") from error
        # Copies: the arrays of a state must be JAX's own, which a dispatch uses again.
        own = {name: array if isinstance(array, jax.Array) else jnp.array(array) for name, array in arrays.items()}
        return unflatten(own, target)


def read_networks(folder: AnyPath) -> dict[str, np.ndarray]:
    """The networks' leaves in a sound checkpoint by path, keys as their raw words; without those of no elements."""
    place, prefix = Path(folder).absolute(), "networks."
    kinds = manifest.read_manifest(place)["leaves"]
    names = [name for name, kind in kinds.items() if "0" not in re.split(r"[\[,\]]", kind)]
    wanted = dict.fromkeys(name for name in names if name.startswith(prefix))
    arrays = array_shards.read(place / ARRAYS, wanted, others=[name for name in names if name not in wanted])
    return {name.removeprefix(prefix): np.asarray(array) for name, array in arrays.items()}


def flatten(tree: PyTree) -> dict[str, Array]:
    """The leaves of a state or of variables by path, keys as their raw words."""
    return {name: raw(leaf) for name, leaf in by_path(tree).items()}


def unflatten(leaves: Mapping[str, Any], target: T) -> T:
    """The tree of the same structure as `target` with these leaves.

    Raises:
      InputError: a leaf is absent, or of another shape or type.
    """
    if difference := _difference(describe(leaves), describe(flatten(target))):
        raise InputError(f"These arrays do not fit: {difference}.")
    rebuilt = [like(leaf, leaves[name]) for name, leaf in by_path(target).items()]
    return jax.tree.unflatten(jax.tree.structure(target), rebuilt)


def describe(leaves: Mapping[str, Any]) -> dict[str, str]:
    """The dtype and the shape of each leaf, e.g. "float32[3,4]"."""
    return {name: f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]" for name, leaf in leaves.items()}


def _difference(there: Mapping[str, str], here: Mapping[str, str]) -> str | None:
    for name in {**here, **there}:
        if here.get(name) != there.get(name):
            return f"{name} is {there.get(name, 'absent')} there and {here.get(name, 'absent')} here"
    return None


def _arrays(state: TrainState) -> dict[str, Array | np.ndarray]:
    """The leaves by path as what can be written: arrays of JAX or of NumPy."""
    leaves = flatten(state).items()
    return {name: leaf if isinstance(leaf, jax.Array) else np.asarray(leaf) for name, leaf in leaves}
