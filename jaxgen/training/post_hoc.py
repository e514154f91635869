"""Averages of any length after a run, from those in the checkpoints that it has kept."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from jaxgen.core.tree import by_path
from jaxgen.core.types import Variables
from jaxgen.io.errors import InputError
from jaxgen.io.terminal import say
from jaxgen.models.post_hoc import EMAProfile, post_hoc_average, post_hoc_weights
from jaxgen.training.checkpoint import Checkpoints, read_networks, unflatten
from jaxgen.training.manifest import find_damage
from jaxgen.training.run_directory import RunDirectory


def post_hoc_network(
    directory: RunDirectory, like: Variables, averages: Mapping[str, float], relative_length: float
) -> Variables:
    """A network's average of a wished length at the last step of a run, from the averages in its checkpoints.

    `averages` are the relative lengths of the stored averages, each by `power_decay`, by name; `like` are variables of
    the network, or their shapes.  What is returned takes the network's place:

        denoiser = post_hoc_network(directory, like, {"denoiser_ema": 0.05, "denoiser_ema_long": 0.1}, 0.15)
        images = model.sampler()({"denoiser": denoiser}, keys)

    The distance of the profile from the wished one is printed: it falls as more checkpoints are kept, `--keep-every`.

    Raises:
      InputError: there is no checkpoint, one is damaged or without these averages, or they do not fit `like`.
      ValueError: a relative length is out of range, or two averages have the same.
    """
    folder = directory.checkpoints
    steps = [step for step in Checkpoints(folder).steps() if step]
    if not steps:
        raise InputError(f"{directory.path} holds no checkpoint of a trained network.")
    stored = [EMAProfile(step, length) for step in steps for length in averages.values()]
    weights, error = post_hoc_weights(stored, EMAProfile(steps[-1], relative_length))

    def read() -> Iterator[Variables]:
        for checkpoint in [folder / str(step) for step in steps]:
            if damage := find_damage(checkpoint):
                raise InputError(f"{checkpoint} is damaged: {damage}. Delete it to use the others.")
            leaves = read_networks(checkpoint)
            yield from (_variables(leaves, name, like, checkpoint) for name in averages)

    average = post_hoc_average(weights, read())
    what = f"An average of relative length {relative_length:g} at step {steps[-1]:,}, from {len(stored)} averages"
    say(f"{what} of {len(steps)} checkpoints: its profile is {error:.2%} from the exact one")
    return average


def _variables(leaves: Mapping[str, np.ndarray], name: str, like: Variables, place: Path) -> Variables:
    there = {path: leaf for path, leaf in leaves.items() if path.startswith(f"{name}.")}
    if not there:
        networks = ", ".join(sorted({path.split(".")[0] for path in leaves}))
        raise InputError(f"{place} holds no average {name!r}; its networks are {networks}.")
    # Of an array without elements nothing is saved.
    empty = {path: np.zeros(leaf.shape, leaf.dtype) for path, leaf in by_path({name: like}).items() if not leaf.size}
    return unflatten({**empty, **there}, {name: like})[name]
