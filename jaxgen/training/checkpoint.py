"""Checkpoints of a training state, each provably as it was written.  The only module that touches Orbax.

    <folder>/<step>/manifest.json    what was saved, by what, and the SHA-256 of every file and of this
    <folder>/<step>/arrays/          the leaves by their paths, as Orbax writes NumPy arrays: nothing is pickled
    <folder>/<step>.damaged/         one that was found damaged
    <folder>/.unfinished*            what a kill left; the next save removes it

A checkpoint is written in `.unfinished`, read back, and renamed, so that a folder with a step's name is complete.
`save` returns when that is done: a failure in the background could go unnoticed.
"""

import errno
import importlib.metadata
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.tree import by_path, like, raw
from jaxgen.core.types import Array, TrainState
from jaxgen.io.errors import InputError, first_line, outside
from jaxgen.io.files import AnyPath, without_brackets
from jaxgen.io.system import reserve_space, write_through

MANIFEST, ARRAYS, UNFINISHED, DAMAGED = "manifest.json", "arrays", ".unfinished", "damaged"
PACKAGES = ("jaxgen", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


class Retention(NamedTuple):
    """Which checkpoints are kept: the newest `last`, and those whose step is a multiple of `every` (0: none)."""

    last: int = 2
    every: int = 0


class Checkpoints:
    """The checkpoints of one run, by step; used by one process at a time."""

    def __init__(self, folder: AnyPath, retention: Retention = Retention()):  # noqa: B008
        self._folder, self._retention = Path(folder).absolute(), retention

    def steps(self) -> list[int]:
        """The steps that are saved, ascending; `restore` checks whether they are sound."""
        return sorted(int(path.name) for path in self._folder.glob("*/") if re.fullmatch("0|[1-9][0-9]*", path.name))

    def save(self, state: TrainState, *, protect: int | None = None) -> None:
        """Saves the state under its step, unless a sound checkpoint is there, and deletes those not to be kept.

        The newest checkpoint at or before step `protect` is kept whatever the retention says.

        Raises:
          OutsideError: it cannot be written; the earlier checkpoints are unchanged.
        """
        step = int(state.step)
        if step not in self.steps() or find_damage(self._folder / str(step)):
            self._write(state)
        steps, (last, every) = self.steps(), self._retention
        regular = [other for other in steps if every and other % every == 0]
        guarded = [other for other in steps if protect is not None and other <= protect][-1:]
        kept = {step, *steps[::-1][:last], *regular, *guarded}
        for other in sorted({*steps} - kept):
            self._delete(other)

    def rewind(self, state: TrainState) -> None:
        """Makes this state the newest: it replaces the checkpoint of its step, and later ones are deleted.

        Raises:
          OutsideError: it cannot be written; the earlier checkpoints are unchanged.
        """
        # The newest goes first: after a kill on the way an earlier one is the newest, and training goes back again.
        for later in [step for step in reversed(self.steps()) if step > int(state.step)]:
            self._delete(later)
        self._write(state)

    def replace(self, state: TrainState) -> None:
        """Makes this state the only one.

        Raises:
          OutsideError: it cannot be written; what was saved before is unchanged.
        """
        self._write(state)
        for other in [step for step in self.steps() if step != int(state.step)]:
            self._delete(other)

    def restore(
        self, target: TrainState, announce: Callable[[str], object], *, before: int | None = None
    ) -> TrainState | None:
        """The newest sound state, at or before step `before` if given; None if nothing was saved.

        `target` has leaves of the expected shapes and dtypes.  Damaged checkpoints are announced, renamed and skipped.

        Raises:
          InputError: the checkpoint does not fit the target, or all are damaged.
          OutsideError: a damaged checkpoint cannot be renamed.
        """
        steps = [step for step in self.steps() if before is None or step <= before]
        for step in reversed(steps):
            damage = find_damage(self._folder / str(step))
            if damage is None:
                return self._read(step, target)
            announce(f"{self._name(step)} is damaged: {damage}. It is now {self._set_aside(step).name}.")
        # Also where all were set aside before: a run must not begin anew on top of an earlier one.
        if steps or any(re.fullmatch(rf"\d+\.{DAMAGED}(\.\d+)?", path.name) for path in self._folder.glob("*/")):
            raise InputError(f"{self._folder} holds no intact checkpoint: start over with --no-resume.")
        return None

    def _name(self, step: int) -> str:
        return f"The checkpoint of step {step} in {self._folder}"

    def _write(self, state: TrainState) -> None:
        # A new name each time: threads of a save that failed may still be writing into its own.
        step, partial = int(state.step), self._folder / f"{UNFINISHED}.{time.time_ns()}"
        arrays = {name: np.asarray(array) for name, array in jax.device_get(flatten(state)).items()}
        self._sweep()
        try:
            with outside(f"{self._name(step)} cannot be written"):
                partial.mkdir(parents=True)
                _write_arrays(partial / ARRAYS, arrays)
                _write_manifest(partial, step, describe(by_path(state)))
                if (self._folder / str(step)).exists():
                    self._delete(step)
                partial.rename(self._folder / str(step))
        finally:
            self._sweep()

    def _sweep(self) -> None:
        for leftover in [path for path in self._folder.glob("*/") if re.fullmatch(rf"{UNFINISHED}(\.\d+)?", path.name)]:
            shutil.rmtree(leftover, ignore_errors=True)

    def _delete(self, step: int) -> None:
        # Renamed first: a kill while the files go must not leave some of them under a step's name.
        with outside(f"{self._name(step)} cannot be deleted"):
            shutil.rmtree((self._folder / str(step)).rename(self._folder / f"{UNFINISHED}.{step}"))

    def _set_aside(self, step: int) -> Path:
        aside, number = self._folder / f"{step}.{DAMAGED}", 1
        while aside.exists():
            aside, number = self._folder / f"{step}.{DAMAGED}.{number}", number + 1
        with outside(f"{self._name(step)} is damaged and cannot be renamed"):
            return (self._folder / str(step)).rename(aside)

    def _read(self, step: int, target: TrainState) -> TrainState:
        place, expected = self._folder / str(step), flatten(target)
        content = _read_manifest(place / MANIFEST)
        if difference := _difference(content["leaves"], describe(by_path(target))):
            advice = "go back to the code and options that saved it, or start over with --no-resume"
            raise InputError(f"{self._name(step)}: {difference}; {advice}.")
        try:
            arrays = _read_arrays(place / ARRAYS, expected)
        except Exception as error:
            advice = f"install orbax-checkpoint {content['versions']['orbax-checkpoint']}, which wrote it"
            raise InputError(f"{self._name(step)} cannot be read ({first_line(error)}): {advice}.") from error
        return unflatten({name: jnp.array(array) for name, array in arrays.items()}, target)


def find_damage(folder: AnyPath) -> str | None:
    """Describes what is damaged in a checkpoint; None if every byte is as it was written."""
    name, folder = MANIFEST, Path(folder)
    try:
        content = _read_manifest(folder / name)
        for name, digest in content["files"].items():
            if (folder / name).stat().st_size < content["sizes"][name]:
                return f"{name} is truncated"
            if _digest(folder / name) != digest:
                return f"{name} is changed"
    except (ValueError, TypeError, KeyError):
        return f"{name} is changed or truncated"
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return f"{name} is missing"
    except OSError as error:
        # The disk has lost it.  Other reasons, such as a missing permission, are not the checkpoint's.
        if error.errno != errno.EIO:
            raise
        return f"{name} cannot be read"
    # Hidden files are not a checkpoint's: file managers and network disks leave them everywhere.
    others = [
        name for name in _array_files(folder) if name not in content["files"] and not Path(name).name.startswith(".")
    ]
    return f"{others[0]} is not listed" if others else None


def read_networks(folder: AnyPath) -> dict[str, np.ndarray]:
    """The networks' leaves in a sound checkpoint by path, keys as their raw words; without those of no elements."""
    arrays, prefix = _read_arrays(Path(folder).absolute() / ARRAYS, {}), "networks."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def flatten(state: TrainState) -> dict[str, Array]:
    """The state's leaves by path, keys as their raw words."""
    return {name: raw(leaf) for name, leaf in by_path(state).items()}


def unflatten(leaves: Mapping[str, Any], target: TrainState) -> TrainState:
    """The state of the same structure as `target` with these leaves.

    Raises:
      InputError: a leaf is absent, or of another shape or type.
    """
    if difference := _difference(describe(leaves), describe(flatten(target))):
        raise InputError(f"These leaves are of another state: {difference}.")
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


def _write_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    # A full disk raises here, with the system's message; many threads of Orbax would raise many more.
    reserve_space(folder.parent / "space", sum(array.nbytes + 4096 for array in arrays.values()))
    with _orbax() as checkpointer, without_brackets(folder) as plain:
        checkpointer.save(plain, {name: array for name, array in arrays.items() if array.size})
    # Orbax does not raise all that it fails to write.
    back = _read_arrays(folder, arrays)
    if describe(back) != describe(arrays) or any(back[name].tobytes() != arrays[name].tobytes() for name in arrays):
        raise OSError("what is read back is not what was written")


def _read_arrays(folder: Path, expected: Mapping[str, Any]) -> dict[str, np.ndarray]:
    with _orbax() as checkpointer, without_brackets(folder) as plain:
        arrays = checkpointer.restore(plain)
    # Orbax refuses arrays without elements, of which shape and type are all there is to know.
    return arrays | {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in expected.items() if 0 in leaf.shape}


@contextmanager
def _orbax() -> Iterator[Any]:
    # Takes seconds to import: a new run needs it at its first save, and not before its first step.
    orbax, me = importlib.import_module("orbax.checkpoint"), jax.process_index()
    # By itself it waits for the other processes, which have nothing to save.
    alone = {"primary_host": me, "active_processes": {me}, "barrier_sync_key_prefix": f"process_{me}"}
    options = {"multiprocessing_options": orbax.options.MultiprocessingOptions(**alone)}
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it logs the traceback of what it raises
    try:
        with orbax.Checkpointer(orbax.PyTreeCheckpointHandler(**options), **options) as checkpointer:
            yield checkpointer
    finally:
        logger.setLevel(level)


def _write_manifest(folder: Path, step: int, leaves: Mapping[str, str]) -> None:
    names = _array_files(folder)
    content = {"step": step, "leaves": leaves, "processes": jax.process_count()}
    content["versions"] = {name: importlib.metadata.version(name) for name in PACKAGES}
    content["devices"] = [device.device_kind for device in jax.devices()]
    content["files"] = {name: _digest(folder / name) for name in names}
    content["sizes"] = {name: (folder / name).stat().st_size for name in names}
    (folder / MANIFEST).write_bytes(_encode_manifest(content))
    # On the disk before the rename is, and before older checkpoints are deleted.
    for name in (*names, MANIFEST):
        write_through(folder / name)


def _encode_manifest(content: Mapping[str, Any]) -> bytes:
    digest = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({"content": content, "sha256": digest}, sort_keys=True, indent=1).encode()


def _read_manifest(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    content = json.loads(data)["content"]
    if data != _encode_manifest(content):
        raise ValueError(f"{path} is not what was written")
    return content


def _array_files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / ARRAYS).rglob("*") if not path.is_dir())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
