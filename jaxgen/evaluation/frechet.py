"""The Fréchet distance between Gaussians fitted to two sets of features (FID with Inception-v3's).

Dowson and Landau (1982); Heusel et al. (2017), https://arxiv.org/abs/1706.08500, equation (6):

    |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))

where tr (C_1 C_2)^(1/2) is the sum of the singular values of C_1^(1/2) C_2^(1/2).  So no root is complex, and none is
taken of an eigenvalue that rounding has moved away from 0.
"""

from typing import NamedTuple

import numpy as np

from jaxgen.evaluation.estimate import Estimate
from jaxgen.evaluation.metric import Evaluated, Measures, Metric
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.require import require_features
from jaxgen.io.errors import InputError

CHUNK = 4096
"""Rows that are converted to float64 at a time."""

EPSILON = float(np.finfo(np.float64).eps)

RESAMPLES, SMALL = 20, 256
"""Bootstrap resamples; there is no bootstrap for more than SMALL features, since it costs RESAMPLES distances."""


class Gaussian(NamedTuple):
    """Mean [F] and covariance [F, F] of features, float64."""

    mean: np.ndarray
    covariance: np.ndarray


def fit_gaussian(features: np.ndarray, *, allow_few: bool = False) -> Gaussian:
    """The mean and the unbiased covariance of features [N, F].

    Raises:
      InputError: the features are not [N, F] or not finite, or there are fewer than two; or, unless `allow_few`, fewer
        than F + 1, whose covariance is singular.
    """
    require_features(features, least=2)
    num, size = features.shape
    if num <= size and not allow_few:
        raise InputError(
            f"{num} samples of {size} features; expected more samples than features: the covariance of fewer is "
            f"singular, and chance alone moves the distance.  Take more, or allow few (--allow-few)."
        )
    mean = features.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((size, size))
    for start in range(0, num, CHUNK):
        centred = features[start : start + CHUNK] - mean
        covariance += centred.T @ centred
    return Gaussian(mean, covariance / (num - 1))


def frechet_distance(first: np.ndarray, second: np.ndarray, *, allow_few: bool = False) -> float:
    """The distance between two sets of features [N, F] and [M, F], in squared feature units, computed in float64.

    Raises:
      InputError: the sets differ in F or hold values that are not finite; or, unless `allow_few`, one has fewer than
        F + 1 members, whose covariance is singular.
    """
    require_features(first, second)
    return gaussian_distance(*(fit_gaussian(features, allow_few=allow_few) for features in (first, second)))


def gaussian_distance(first: Gaussian, second: Gaussian) -> float:
    """The distance between two Gaussians, in squared feature units: at least 0, and 0 for equal covariances and means.

    A difference of covariances within the rounding of their traces counts as 0.
    """
    roots = [_root(gaussian.covariance) for gaussian in (first, second)]
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    spread = traces - 2 * np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    shift = np.square(first.mean - second.mean).sum()
    return float(shift + (spread if spread > 10 * len(first.mean) * EPSILON * traces else 0.0))


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root; eigenvalues within rounding of 0 are 0, since their roots would be far from it."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.where(values > len(values) * EPSILON * values[-1], values, 0)
    return (vectors * np.sqrt(values)) @ vectors.T


def estimated_distance(first: np.ndarray, second: np.ndarray, *, seed: int, allow_few: bool = False) -> Estimate:
    """`frechet_distance`, with a standard error by the bootstrap where features are few.

    Raises:
      InputError: as `frechet_distance`.
    """
    value = frechet_distance(first, second, allow_few=allow_few)
    if first.shape[1] > SMALL:
        return Estimate(value)
    sets = [features[content_order(features)] for features in (first, second)]
    rng = np.random.default_rng(seed)
    again = [
        frechet_distance(*(part[rng.integers(len(part), size=len(part))] for part in sets), allow_few=True)
        for _ in range(RESAMPLES)
    ]
    return Estimate(value, float(np.std(again, ddof=1)))


def _measure(evaluated: Evaluated) -> Measures:
    name = "FID" if evaluated.network.is_inception else "Fréchet distance"
    sets = evaluated.drawn, evaluated.real
    return {name: estimated_distance(*sets, seed=evaluated.seed, allow_few=evaluated.allow_few)}


FRECHET = Metric(
    name="frechet",
    meanings={"Fréchet distance": "0 for equal Gaussians", "FID": "0 for equal Gaussians"},
    compute=_measure,
)
