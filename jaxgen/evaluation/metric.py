"""The interface of a metric: the images that it takes, the measures that it computes, and how to read them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxgen.evaluation.estimate import Estimate
from jaxgen.evaluation.network import FeatureNetwork, Features

Measures = dict[str, Estimate]
"""Estimates by name."""


class Reference(NamedTuple):
    """The images that drawn images are compared with: uint8 [N, H, W, C], and their features.

    Memorisation also needs the model's training images `train`, and compares with images that it was not trained on,
    `held_out`, where there are any.  `data` is the data set's name, None if it is not known.
    """

    images: np.ndarray
    features: Features
    train: np.ndarray | None = None
    held_out: np.ndarray | None = None
    data: str | None = None


@dataclass(frozen=True, eq=False)
class Evaluated:
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

    @property
    def drawn(self) -> np.ndarray:
        """The features [N, F] of the images."""
        return self.features.features

    @property
    def real(self) -> np.ndarray:
        """The features [M, F] of the images that they are compared with."""
        return self.reference.features.features


class Metric(NamedTuple):
    """One or more measures that are computed together.

    `meanings` says in a few words how to read each measure, and `notes` what to read into those of these images,
    instead.  `objection` says why the metric cannot be computed, None if it can; `is_default` whether it is computed
    where no metrics are chosen.  `needs_training` says that it needs the training images beside the drawn and the real
    ones.
    """

    name: str
    meanings: Mapping[str, str]
    compute: Callable[[Evaluated], Measures]
    objection: Callable[[Evaluated], str | None] = lambda _: None
    is_default: Callable[[Evaluated], bool] = lambda _: True
    needs_training: bool = False
    notes: Callable[[Evaluated], Mapping[str, str]] = lambda _: {}
