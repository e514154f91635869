"""The arrays of a checkpoint as Orbax writes them.  The only module that touches Orbax.

Each process writes the shards of its devices into a folder of its own, and `merge` makes one checkpoint of all:

    <folder>/ocdbt.process_<n>/    what process n wrote
    <folder>/manifest.ocdbt, d/    where each part of each array is
    <folder>/_METADATA, ...        the arrays' names

Of Orbax the handlers alone are used: its checkpointers wait for all processes in barriers of their own, in which the
others would wait in vain for one whose disk is full.  None of these functions communicates.
"""

import importlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgen.core.types import Array
from jaxgen.io.files import without_brackets
from jaxgen.io.system import reserve_space

READ_BACK_BYTES = 2**26
"""Bytes that are on a device twice while they are compared with what was written, unless an array is larger."""

Leaves = Mapping[str, Array | np.ndarray]


def prepare(folder: Path) -> None:
    """Makes the folder, before any process writes; for the first process."""
    # Without this one in it Orbax's other processes wait for the first to write, which may have failed to.
    (folder / "array_metadatas").mkdir(parents=True)


def write(folder: Path, leaves: Leaves) -> None:
    """Writes this process's shards; NumPy arrays are written by the first process.

    Raises:
      OSError: they do not fit on the disk.
    """
    # A full disk raises here, with the system's message; many threads of Orbax would raise many more.
    reserve_space(folder.parent / f"space_{jax.process_index()}", sum(map(_own_bytes, leaves.values())))
    filled = {name: leaf for name, leaf in leaves.items() if not _is_empty(leaf)}
    with _orbax(folder) as (orbax, handler, place):
        handler.save(place, args=orbax.args.PyTreeSave(filled))


def merge(folder: Path) -> None:
    """Makes one checkpoint of what all processes have written; for the first process."""
    with _orbax(folder) as (_, handler, place):
        handler.finalize(place)


def read(folder: Path, targets: Mapping[str, Any], *, others: Iterable[str] = ()) -> dict[str, Array | np.ndarray]:
    """The arrays of these names; `others` are the names of those that are in the checkpoint too.

    A target with a sharding (a committed array, or a `jax.ShapeDtypeStruct`) is read onto its devices, each process its
    shards; any other, such as None, as a NumPy array.
    """
    # Orbax refuses arrays without elements, of which shape and type are all there is to know.
    empty: dict[str, Array | np.ndarray]
    empty = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in targets.items() if _is_empty(leaf)}
    wanted = {name: leaf for name, leaf in targets.items() if name not in empty}
    if not wanted:
        return empty
    with _orbax(folder) as (orbax, handler, place):
        absent = dict.fromkeys(others, orbax.PLACEHOLDER)
        arguments = {name: _how_to_read(orbax, leaf) for name, leaf in wanted.items()}
        request = {"item": {**absent, **dict.fromkeys(wanted, 0)}, "restore_args": {**absent, **arguments}}
        arrays = handler.restore(place, args=orbax.args.PyTreeRestore(**request))
    return {name: arrays[name] for name in wanted} | empty


def require_written(folder: Path, leaves: Leaves) -> None:
    """Reads this process's shards back, since Orbax does not raise all that it fails to write.

    Raises:
      OSError: they are not what they should be.
    """
    filled = [name for name, leaf in leaves.items() if not _is_empty(leaf)]
    for part in _parts(leaves):
        back = read(folder, part, others=[name for name in filled if name not in part])
        if back.keys() != part.keys() or any(_content(back[name]) != _content(leaf) for name, leaf in part.items()):
            raise OSError("what is read back is not what was written")


def sharding_of(leaf: Any) -> Any:
    """The sharding that a leaf asks for; None for one that is on no device in particular."""
    return getattr(leaf, "sharding", None) if getattr(leaf, "committed", True) else None


def _is_empty(leaf: Any) -> bool:
    return 0 in getattr(leaf, "shape", ())


def _how_to_read(orbax: Any, leaf: Any) -> Any:
    if (sharding := sharding_of(leaf)) is None:
        return orbax.RestoreArgs(restore_type=np.ndarray)
    return orbax.ArrayRestoreArgs(restore_type=jax.Array, sharding=sharding)


def _content(leaf: Array | np.ndarray) -> tuple[Any, ...]:
    """The type, the shape and the bytes of the shards of this process; of copies on several devices, of one."""
    shards = {"": leaf}
    if isinstance(leaf, jax.Array) and not leaf.is_fully_replicated:
        shards = {str(shard.index): shard.data for shard in leaf.addressable_shards}
    return leaf.dtype, leaf.shape, {index: np.asarray(data).tobytes() for index, data in shards.items()}


def _own_bytes(leaf: Array | np.ndarray) -> int:
    """The bytes that this process writes of a leaf, at least, with what is written about it."""
    if isinstance(leaf, jax.Array):
        return sum(4096 + shard.data.nbytes for shard in leaf.addressable_shards if shard.replica_id == 0)
    return leaf.nbytes + 4096 if jax.process_index() == 0 else 0


def _parts(leaves: Leaves) -> Iterator[dict[str, Array | np.ndarray]]:
    part, size = {}, 0
    for name, leaf in leaves.items():
        if part and size + leaf.nbytes > READ_BACK_BYTES:
            yield part
            part, size = {}, 0
        part, size = {**part, name: leaf}, size + leaf.nbytes
    yield part


@contextmanager
def _orbax(folder: Path) -> Iterator[tuple[Any, Any, Any]]:
    """Orbax, its handler of trees, and the path of the folder as Orbax takes it."""
    # Takes seconds to import: a new run needs it at its first save, and not before its first step.
    orbax, epath = importlib.import_module("orbax.checkpoint"), importlib.import_module("etils.epath")
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it logs the traceback of what it raises
    handler = orbax.PyTreeCheckpointHandler()
    try:
        with without_brackets(folder) as plain:
            yield orbax, handler, epath.Path(plain)
    finally:
        handler.close()
    logger.setLevel(level)  # not after an error: other threads of Orbax may still fail, and would log it
