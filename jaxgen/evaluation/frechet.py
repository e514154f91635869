"""The Fréchet distance of two Gaussians fitted to features.

Dowson and Landau (1982); Heusel et al. (2017), https://arxiv.org/abs/1706.08500, equation (6):

    |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))

with tr (C_1 C_2)^(1/2) = tr (C_1^(1/2) C_2 C_1^(1/2))^(1/2), whose inner matrix is symmetric: no root is complex.
"""

import numpy as np

from jaxgen.errors import InputError


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The distance between two sets of features [N, F] and [M, F], in squared feature units, computed in float64.

    Raises:
      InputError: the sets differ in F, hold values that are not finite, or have fewer than F + 1 members, whose
        covariance is singular.
    """
    for features in (first, second):
        if features.ndim != 2 or features.shape[1] != first.shape[1]:
            raise InputError(f"Features of shapes {first.shape} and {second.shape}; expected [N, F] and [M, F].")
        if len(features) <= features.shape[1]:
            raise InputError(
                f"{len(features)} samples of {features.shape[1]} features; expected more samples than features."
            )
        if not np.isfinite(features).all():
            raise InputError("The features hold values that are not finite.")
    (mean_1, covariance_1), (mean_2, covariance_2) = _moments(first), _moments(second)
    root = _root(covariance_1)
    inner = root @ covariance_2 @ root
    cross = np.sqrt(np.clip(np.linalg.eigvalsh((inner + inner.T) / 2), 0, None)).sum()
    return float(np.square(mean_1 - mean_2).sum() + np.trace(covariance_1 + covariance_2) - 2 * cross)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features = features.astype(np.float64)
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
