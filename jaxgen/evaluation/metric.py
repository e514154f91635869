"""A metric: one value in the file of its own measures, with their names and what they mean."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxgen.evaluation.estimate import Estimate
from jaxgen.evaluation.network import FeatureNetwork, Features

Measures = dict[str, Estimate]
"""Estimates by name."""


class Reference(NamedTuple):
    """The images that drawn images are compared with: uint8 [N, H, W, C], and their features.

    Memorisation also needs the model's training images and images that it was not trained on.  `data` is the data set's
    name, None if it is not known.
    """

    images: np.ndarray
    features: Features
    train: np.ndarray | None = None
    held_out: np.ndarray | None = None
    data: str | None = None


class Evaluated(NamedTuple):
    """The images uint8 [N, H, W, C] that are evaluated, their features, and what they are compared with.

    `labels` [N] are the classes, of the network's, that the images were drawn for.  `allow_few` allows fewer images
    than features.
    """

    images: np.ndarray
    features: Features
    reference: Reference
    network: FeatureNetwork
    seed: int
    allow_few: bool
    labels: np.ndarray | None


def _nothing(_: Evaluated) -> None:
    return None


def _always(_: Evaluated) -> bool:
    return True


class Metric(NamedTuple):
    """One or more measures that are computed together.

    `meanings` says in a few words how to read each measure.  `missing` says what the metric lacks, None where it
    applies; `is_default` whether it is computed where no metrics are chosen.
    """

    name: str
    meanings: Mapping[str, str]
    compute: Callable[[Evaluated], Measures]
    missing: Callable[[Evaluated], str | None] = _nothing
    is_default: Callable[[Evaluated], bool] = _always
