"""The best state of a run, among those that were evaluated on the way; it is kept beside the last.

<run>/best/scores.json  its step and its scores
<run>/best/checkpoints/ the whole state
<run>/best/sampler/     its exported sampler
"""

import json
import math
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxgen.core.map_rows import map_rows
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Networks, TrainState
from jaxgen.data import Dataset, StreamedDataset, make_dataset
from jaxgen.evaluation import cached_features, choose_network, fit_gaussian, gaussian_distance
from jaxgen.export import ExportInfo, export_sampler, seeded
from jaxgen.io.files import AnyPath, write_whole
from jaxgen.training.checkpoint import Checkpoints, Retention
from jaxgen.training.grids import some_examples
from jaxgen.training.processes import Host
from jaxgen.training.recipe import Score, Scores

DRAW = 250
"""Images that a device draws at a time: one program for any number of images, in bounded memory."""


class Best:
    """The best state of a run, in a folder of its own that the processes of `host` share."""

    def __init__(self, folder: AnyPath, host: Host = Host()):  # noqa: B008
        self.folder, self._host = Path(folder), host
        self._record = self.folder / "scores.json"

    def scores(self) -> dict[str, float]:
        """The scores of the best state, and its `step`; empty if no state was evaluated yet."""
        try:
            scores = json.loads(self._record.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(scores, dict) or "step" not in scores or len(scores) < 2:
            return {}
        # JSON's true is an int in Python, and an int of many digits is no float.
        is_sound = all(type(value) in (int, float) and abs(value) < 1e300 for value in scores.values())
        return scores if is_sound else {}

    def is_beaten(self, scores: Scores) -> bool:
        """Whether these scores are better than those of the best state."""
        name = next(iter(scores))
        return scores[name] < self.scores().get(name, math.inf)

    def keep(self, state: TrainState, networks: Networks, scores: Scores, sampler: Sampler, info: ExportInfo) -> None:
        """Makes this state the best one; all processes call it.  `networks` are the state's, on the host.

        Raises:
          OutsideError: the checkpoint cannot be written.
        """

        def export() -> None:
            export_sampler(sampler)(self.folder / "sampler", networks, info)
            write_whole(self._record, json.dumps({**scores, "step": int(state.step)}, indent=2) + "\n")

        # The record is last: a kill on the way leaves that of a worse state, and this one is found to be best again.
        Checkpoints(self.folder / "checkpoints", Retention(last=1), self._host).replace(state)
        self._host.agree_on_first(export)


def frechet_score(
    sampler: Sampler,
    dataset: Dataset | StreamedDataset,
    *,
    num: int,
    seed: int,
    inception: AnyPath | None = None,
) -> Score:
    """The Fréchet distance of `num` drawn images to as many training images, or to all if there are fewer.

    It uses training images, because a test set used for model selection is no longer a test set.  A conditional sampler
    takes the conditions of these training images.

    Raises:
      InputError: the weights cannot be used, or there are no more images than features.
    """
    network = choose_network(dataset.spec, inception)
    examples = some_examples(dataset, min(num, dataset.size), seed)
    images = examples["image"]
    digest = make_dataset(images, None, source=dataset.source, split=dataset.split).digest
    real = fit_gaussian(cached_features(network, images, digest).features)
    name = "fid" if network.is_inception else "frechet_distance"
    draw = map_rows(lambda networks, rows: seeded(sampler, networks)(jnp.uint32(seed), *rows))

    def score(networks: Networks) -> Scores:
        index = np.arange(num, dtype=np.int32)
        fields = {field: examples[field][index % len(images)] for field in sampler.conditions}
        drawn = draw(networks, (index, fields), size=DRAW, what=f"Drawing {num:,} images")
        features = network.extract(drawn).features
        return {name: gaussian_distance(fit_gaussian(features), real)}

    return score
