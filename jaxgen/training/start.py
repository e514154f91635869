"""Networks that a run starts from: those of another run, as far as they are of the same shapes.

Where both runs have the same conditions, all leaves must fit.  Where the conditions differ, the leaves that belong to
them do not, and are initialised as usual:

    a size differs by that of a condition     the dense layer of a latent and a label, for another number of classes
    the leaf is in one of the runs only       the layers of a condition that was added or dropped
    an `embedding` of words                   for another vocabulary, in which a token is another word
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.step import init_state
from jaxgen.core.tree import by_path, like, raw
from jaxgen.core.types import Array, Networks, TrainState
from jaxgen.io.errors import InputError, refuse_damage
from jaxgen.training.checkpoint import Checkpoints, describe, read_networks
from jaxgen.training.manifest import MANIFEST, find_damage
from jaxgen.training.recipe import Recipe
from jaxgen.training.run_directory import RunDirectory, read_record, require_format

SHOWN = 5
"""Names of leaves in a line."""

Leaves = Mapping[str, Array | np.ndarray]
"""The leaves of networks by their paths, keys as their raw words."""


class Origin(NamedTuple):
    """Another run: the option that names it, its `config.json` and that file's content, and a checkpoint's networks."""

    option: str
    config: Path
    record: dict[str, Any]
    checkpoint: Path
    leaves: Leaves


class Changes(NamedTuple):
    """How the conditions of two runs differ.

    `sizes` are by how much each condition, and all together, were larger there; `names` says that a condition was added
    or dropped, `vocabulary` that words have other tokens.
    """

    sizes: frozenset[int] = frozenset()
    names: bool = False
    vocabulary: bool = False


def start_from(
    path: Path, recipe: Recipe, fresh: TrainState, record: Mapping[str, Any], announce: Callable[[str], object]
) -> tuple[TrainState, dict[str, Any]]:
    """The first state with the networks of another run, and what `config.json` records: files by SHA-256, new leaves.

    `fresh` is the first state with initialised networks, `record` that of the run that begins.  An average that the
    other run does not have is one of the networks that it has.  Networks that only the other run has are left out.

    Raises:
      InputError: the other run cannot be read, or its networks do not fit.
    """
    origin = read_origin(path, announce)
    initialised, saved = jax.eval_shape(recipe.networks, fresh.key), {name.split(".")[0] for name in origin.leaves}
    if unknown := sorted(saved - fresh.networks.keys()):
        announce(f"Left out, since this run has no such networks: {listed(unknown)}")
        leaves = {name: leaf for name, leaf in origin.leaves.items() if name.split(".")[0] not in unknown}
        origin = origin._replace(leaves=leaves)
    networks = {name: variables for name, variables in fresh.networks.items() if name in {*initialised, *saved}}
    new = new_leaves(origin, {name: raw(leaf) for name, leaf in by_path(networks).items()}, record)
    state = init_state(recipe.update, replaced(networks, origin.leaves, new), fresh.key)
    announce(f"Starting from the networks in {origin.checkpoint}")
    if new:
        announce(f"Initialised as usual, since the conditions are not those of {path}: {listed(new)}")
    started_from = {
        "checkpoint": str(origin.checkpoint.resolve()),
        "manifest": sha256((origin.checkpoint / MANIFEST).read_bytes()).hexdigest(),
        "config": sha256(origin.config.read_bytes()).hexdigest(),
        "new": new,
    }
    return state, started_from


def read_origin(path: Path, announce: Callable[[str], object]) -> Origin:
    """The best networks that were evaluated in a run, or the last if none were.

    Raises:
      InputError: there is no run, it is of another format, or it holds no intact checkpoint.
    """
    option, directory = f"--start-from {path}", RunDirectory(path)
    if not directory.config.is_file():
        raise InputError(f"{option} holds no run: expected the folder of a run, with its config.json.")
    with refuse_damage(f"{option}: {directory.config}", "a run's config"):
        record = read_record(directory.config)
    require_format(option, record)
    for folder in (directory.best / "checkpoints", directory.checkpoints):
        for step in reversed(Checkpoints(folder).steps()):
            checkpoint = folder / str(step)
            with refuse_damage(f"{option}: {checkpoint}", "a checkpoint"):
                if (damage := find_damage(checkpoint)) is None:
                    return Origin(option, directory.config, record, checkpoint, read_networks(checkpoint))
            announce(f"{checkpoint} is damaged: {damage}.")
        if Checkpoints(folder).steps():
            raise InputError(f"{option}: {folder} holds no intact checkpoint.")
    raise InputError(f"{option} holds no checkpoint.")


def new_leaves(origin: Origin, here: Leaves, record: Mapping[str, Any]) -> list[str]:
    """The names of the leaves of this run that are not taken from the other, since they belong to other conditions.

    Raises:
      InputError: a leaf does not fit for another reason, or too little of a network fits.
    """
    changes, there = changes_of(origin.record.get("conditions"), record["conditions"]), origin.leaves
    # Of an array without elements nothing is saved.
    filled = {name: leaf for name, leaf in here.items() if leaf.size or name in there}
    differing = [name for name in {**filled, **there} if not fits(name, there.get(name), filled.get(name), changes)]
    if wrong := [name for name in differing if not is_explained(name, there.get(name), filled.get(name), changes)]:
        was, now = (describe(leaves).get(wrong[0], "absent") for leaves in (there, filled))
        more = f" ({len(wrong) - 1} more differ)" if len(wrong) > 1 else ""
        raise InputError(f"{origin.option}: {wrong[0]} is {was} there and {now} here{more}{advice(origin, record)}.")
    for network in dict.fromkeys(name.split(".")[0] for name in filled):
        sizes = {name: leaf.size for name, leaf in filled.items() if name.split(".")[0] == network}
        taken = [size for name, size in sizes.items() if name not in differing]
        if 2 * len(taken) < len(sizes) and 2 * sum(taken) < sum(sizes.values()):
            few = f"only {len(taken)} of the {len(sizes)} arrays of {network} are as there"
            raise InputError(f"{origin.option}: {few}{advice(origin, record)}.")
    return [name for name in differing if name in here]


def changes_of(there: Mapping[str, Any] | None, here: Mapping[str, Any]) -> Changes:
    """How the recorded conditions of two runs differ; as if they did not where the other run has recorded none."""
    if there is None:
        return Changes()
    sizes = [[conditions.get(name, {}).get("size", 0) for conditions in (there, here)] for name in {**there, **here}]
    differences = [was - now for was, now in sizes]
    vocabularies = [conditions.get("text", {}).get("vocabulary") for conditions in (there, here)]
    return Changes(
        frozenset((*differences, sum(differences))) - {0},
        there.keys() != here.keys(),
        vocabularies[0] != vocabularies[1],
    )


def fits(name: str, there: Any, here: Any, changes: Changes) -> bool:
    """Whether a leaf, None where it is absent, can be taken as it is."""
    if there is None or here is None or is_of_words(name, changes):
        return False
    return (there.shape, there.dtype) == (here.shape, here.dtype)


def is_explained(name: str, there: Any, here: Any, changes: Changes) -> bool:
    """Whether a leaf does not fit because the conditions differ."""
    if there is None or here is None:
        return changes.names
    if there.dtype != here.dtype or there.ndim != here.ndim:
        return False
    if is_of_words(name, changes):
        return there.shape[1:] == here.shape[1:]
    differences = [was - now for was, now in zip(there.shape, here.shape, strict=True) if was != now]
    return len(differences) == 1 and differences[0] in changes.sizes


def is_of_words(name: str, changes: Changes) -> bool:
    """Whether a leaf has a row for each word of a vocabulary that is another one now."""
    return changes.vocabulary and name.endswith(".embedding")


def replaced(networks: Networks, leaves: Leaves, new: list[str]) -> Networks:
    """The networks with each leaf replaced by that of its name, but for the new ones."""
    there = {name: jnp.array(leaf) for name, leaf in leaves.items() if name not in new}
    merged = [like(leaf, there[name]) if name in there else leaf for name, leaf in by_path(networks).items()]
    return jax.tree.unflatten(jax.tree.structure(networks), merged)


def advice(origin: Origin, record: Mapping[str, Any]) -> str:
    """What to do about networks that do not fit."""
    sizes = ["x".join(map(str, one["data"].get("shape", ()))) for one in (origin.record, record)]
    images = f"; its images are {sizes[0]}, these {sizes[1]}" if all(sizes) and sizes[0] != sizes[1] else ""
    return f"{images}: give this run the options that the other one has, or begin without --start-from"


def listed(names: list[str]) -> str:
    """The first of the names, and the number of the others."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
