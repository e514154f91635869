"""Measures of class probabilities p(y | x) [N, K] that a classifier gives drawn samples.

    (1) score     exp E_x KL(p(y | x) || p(y)), from 1 to K: each sample of one class, and all classes
    (2) balance   exp of the entropy of the classes' shares, over K: 1 if all are drawn alike often

(1): Salimans et al. (2016), https://arxiv.org/abs/1606.03498, which call it the Inception score where the classifier is
Inception-v3.
"""

from typing import NamedTuple

import numpy as np

from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.require import require_probabilities
from jaxgen.io.errors import InputError


class Classes(NamedTuple):
    """The share [K] of each class, how many are drawn at all, the smallest share, and the balance (2)."""

    shares: np.ndarray
    covered: int
    rarest: float
    balance: float


def class_score(probabilities: np.ndarray, *, splits: int = 10) -> Estimate:
    """The score (1): the mean over that many splits of the samples in their order, as published.

    Raises:
      InputError: no class probabilities, or fewer samples than splits.
    """
    require_probabilities(probabilities)
    if not 1 <= splits <= len(probabilities):
        raise InputError(f"{splits} splits of {len(probabilities)} samples; expected from 1 to as many as samples.")
    return mean_of([_score(part.astype(np.float64)) for part in np.array_split(probabilities, splits)])


def count_classes(probabilities: np.ndarray) -> Classes:
    """How often each class is the most probable one.

    Raises:
      InputError: no class probabilities.
    """
    require_probabilities(probabilities)
    size = probabilities.shape[1]
    shares = np.bincount(probabilities.argmax(axis=1), minlength=size) / len(probabilities)
    present = shares[shares > 0]
    balance = float(np.exp(-(present * np.log(present)).sum()) / size)
    return Classes(shares, len(present), float(shares.min()), balance)


def _score(probabilities: np.ndarray) -> float:
    from scipy.special import rel_entr

    return float(np.exp(rel_entr(probabilities, probabilities.mean(axis=0)).sum(axis=1).mean()))
