"""Checkpoints of a training state.  The only module that touches Orbax.

A checkpoint is a flat mapping from a leaf's path to its array, so that it does not depend on the classes of the state.
Orbax writes a step beside its place and renames it: a run killed in mid-save keeps its earlier steps.
"""

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.errors import InputError, first_line
from jaxgen.types import Array, TrainState

KEEP = 2
"""Checkpoints that are kept."""


class Checkpoints:
    """The checkpoints of one run, by step."""

    def __init__(self, folder: Path):
        self._folder = folder.absolute()

    @cached_property
    def _manager(self) -> Any:
        orbax = self._orbax
        options = orbax.CheckpointManagerOptions(max_to_keep=KEEP, create=True, enable_async_checkpointing=False)
        return orbax.CheckpointManager(self._folder, options=options)

    @cached_property
    def _orbax(self) -> Any:
        # Takes seconds to import: a new run needs it at its first save, and not before its first step.
        return import_module("orbax.checkpoint")

    def latest(self) -> int | None:
        """The newest step that was saved; None if there is none."""
        return self._manager.latest_step() if self._folder.exists() else None

    def save(self, state: TrainState) -> None:
        """Saves the state under its step; a step that is saved already is left alone."""
        step = int(state.step)
        if step != self.latest():
            self._manager.save(step, args=self._orbax.args.StandardSave(flatten(state)))

    def restore(self, target: TrainState) -> TrainState:
        """The newest state, on the devices of `target`, which also gives structure and types.

        Raises:
          InputError: the checkpoint does not fit or cannot be read.
        """
        step = self.latest()
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), flatten(target)
        )
        try:
            leaves = self._manager.restore(step, args=self._orbax.args.StandardRestore(abstract))
        except Exception as error:
            raise InputError(
                f"The checkpoint of step {step} in {self._folder} cannot be read: {first_line(error)}"
            ) from error
        return unflatten(leaves, target)


def flatten(state: TrainState) -> dict[str, Array]:
    """The state's leaves by path, keys as their raw words."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): _raw(leaf) for path, leaf in leaves}


def unflatten(leaves: Mapping[str, Array], target: TrainState) -> TrainState:
    """The state of the same structure as `target` with these leaves."""
    names = list(flatten(target))
    rebuilt = [
        jax.random.wrap_key_data(leaves[name], impl=jax.random.key_impl(leaf)) if _is_key(leaf) else leaves[name]
        for name, leaf in zip(names, jax.tree.leaves(target), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(target), rebuilt)


def _raw(leaf: Array) -> Array:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
