"""Which state of a run is best: networks are scored on the way, and the best state is kept beside the last.

<run>/best/scores.json  its step and its scores
<run>/best/checkpoints/ the whole state
<run>/best/sampler/     what draws from it
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.condition import Condition
from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Networks, Sampler, TrainState
from jaxgen.data import Dataset, StreamedDataset, batch_indices, make_dataset
from jaxgen.evaluation import cached_features, choose_network, fit_gaussian, gaussian_distance
from jaxgen.export import save_sampler, seeded
from jaxgen.io.files import AnyPath, write_whole
from jaxgen.training.checkpoint import Checkpoints, Retention

Scores = Mapping[str, float]
Score = Callable[[Networks], Scores]
"""What networks are worth, by name; the first number is what `best` goes by, and less is better."""

DRAW = 250
"""Images a call of the sampler."""


class Best:
    """The best state of a run, in a folder of its own; for one process at a time."""

    def __init__(self, folder: AnyPath):
        self.folder = Path(folder)
        self._record = self.folder / "scores.json"

    def scores(self) -> dict[str, float]:
        """The scores of the best state and its step; nothing if there is none yet."""
        try:
            return dict(json.loads(self._record.read_text()))
        except (OSError, ValueError):
            return {}

    def is_beaten(self, scores: Scores) -> bool:
        """Whether these scores are better than those of the best state."""
        name = next(iter(scores))
        return scores[name] < self.scores().get(name, math.inf)

    def keep(
        self,
        state: TrainState,
        scores: Scores,
        sampler: Sampler,
        spec: ImageSpec,
        condition: Condition | None = None,
    ) -> None:
        """Makes this state the best one.

        Raises:
          OutsideError: the machine would not.
        """
        # The record is last: a kill on the way leaves that of a worse state, and this one is found to be best again.
        Checkpoints(self.folder / "checkpoints", Retention(last=1)).replace(state)
        save_sampler(self.folder / "sampler", sampler, state.networks, spec, condition)
        write_whole(self._record, json.dumps({**scores, "step": int(state.step)}, indent=2) + "\n")


def frechet_score(
    sampler: Sampler,
    dataset: Dataset | StreamedDataset,
    *,
    num: int,
    seed: int,
    inception: AnyPath | None = None,
    condition: Condition | None = None,
) -> Score:
    """The Fréchet distance of `num` drawn images to as many training images, or to all if there are fewer.

    Training images, since a test set by which a state was chosen tests it no more.  A conditional sampler is told what
    goes with them.

    Raises:
      InputError: no feature network sees such images, or there are no more of them than it has features.
    """
    network = choose_network(dataset.spec, dataset.source, inception)
    examples = some_examples(dataset, min(num, dataset.size), seed)
    images = examples["image"]
    field = () if condition is None else (examples[condition.field],)
    digest = make_dataset(images, None, source=dataset.source, split=dataset.split).digest
    real = fit_gaussian(cached_features(network, images, digest).features)
    name = "fid" if network.is_inception else "frechet_distance"
    draw = jax.jit(lambda networks, *given: seeded(sampler, networks)(jnp.uint32(seed), *given))

    def score(networks: Networks) -> Scores:
        drawn = []
        for start in range(0, num, DRAW):
            index = np.arange(start, start + DRAW, dtype=np.int32)
            drawn.append(np.asarray(draw(networks, index, *(array[index % len(array)] for array in field))))
        features = network.extract(np.concatenate(drawn)[:num]).features
        return {name: gaussian_distance(fit_gaussian(features), real)}

    return score


def grid_fields(
    condition: Condition | None, dataset: Dataset | StreamedDataset, num: int, seed: int
) -> tuple[tuple[np.ndarray, ...], int]:
    """What the images of a grid are told, [N, ...] with N about `num`, and the grid's columns.

    Labels have a row each, as long as there is room; other conditions are those of some examples.
    """
    if condition is None:
        return (), math.ceil(math.sqrt(num))
    if condition.classes:
        columns = math.ceil(num / condition.classes)
        return (np.arange(min(condition.classes, num), dtype=np.int32).repeat(columns),), columns
    return (some_examples(dataset, num, seed)[condition.field],), math.ceil(math.sqrt(num))


def some_examples(dataset: Dataset | StreamedDataset, num: int, seed: int) -> dict[str, np.ndarray]:
    """So many examples of a data set, chosen at random, as a batch."""
    chosen = batch_indices(seed, 0, num, dataset.size)
    if isinstance(dataset, StreamedDataset):
        examples = [dataset.read(int(index)) for index in chosen]
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}
    return {name: array[chosen] for name, array in dataset.arrays.items()}
