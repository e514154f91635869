"""Rewards: how well images fit a goal, as values."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgen.core.types import Array

Reward = Callable[[Array], Array]
"""Images float32 [N, H, W, C] in [-1, 1] to rewards float32 [N]; the higher, the better."""


class Scores(NamedTuple):
    """The rewards float32 [N] of images on the host, and what failed, if anything did: then some are not finite."""

    rewards: np.ndarray
    failure: str = ""


Score = Callable[[Array], Scores]
"""Images float32 [N, H, W, C] in [-1, 1] to their rewards; what a reward raises becomes the failure."""
