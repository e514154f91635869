"""Measures of an autoencoder's latents: active units and disentanglement.

    (1) active units    latents with Var_x E_q[z | x] > 0.01                    Burda et al. (2016), section 5.2
    (2) MIG             mean over factors v of (I_1(z; v) - I_2(z; v)) / H(v)   Chen et al. (2018), equation (6)

where I_1 and I_2 are the largest and the second largest mutual information of a latent with the factor.
https://arxiv.org/abs/1509.00519, https://arxiv.org/abs/1802.04942
"""

import numpy as np

from jaxgen.evaluation.require import require_features
from jaxgen.io.errors import InputError

ACTIVE = 0.01


def count_active_units(means: np.ndarray) -> int:
    """The number of active units (1), from the posterior means [N, Z] of a set of images.

    Raises:
      InputError: the means are not [N, Z], not finite, or of fewer than two images.
    """
    require_features(means, least=2)
    return int((means.var(axis=0) > ACTIVE).sum())


def mutual_information_gap(latents: np.ndarray, factors: np.ndarray, *, bins: int = 20) -> float:
    """The mutual information gap (2), from 0 to 1, of latents [N, Z] and integer factors [N, F].

    Each latent is discretised into `bins` bins of equal width.

    Raises:
      InputError: the numbers of rows differ, there are fewer than two latents or no factor, a latent is not finite,
        or a factor is constant.
    """
    if len(latents) != len(factors) or latents.ndim != 2 or factors.ndim != 2 or latents.shape[1] < 2:
        shapes = f"{list(latents.shape)} and {list(factors.shape)}"
        raise InputError(f"Latents and factors of {shapes}; expected [N, Z] with Z > 1, and [N, F].")
    require_features(latents)
    if not factors.shape[1]:
        raise InputError("There are no factors; expected [N, F] with F > 0.")
    gaps = []
    for number, factor in enumerate(factors.T):
        entropy = _entropy(np.unique(factor, return_counts=True)[1])
        if entropy == 0:
            raise InputError(f"Factor {number} has one value; expected at least two.")
        information = sorted(_mutual_information(latent, factor, bins) for latent in latents.T)
        gaps.append((information[-1] - information[-2]) / entropy)
    return float(np.mean(gaps))


def _mutual_information(latent: np.ndarray, factor: np.ndarray, bins: int) -> float:
    """I(z; v) = H(z) + H(v) - H(z, v), in nats."""
    _, value = np.unique(factor, return_inverse=True)
    joint, _, _ = np.histogram2d(latent, value, bins=(bins, value.max() + 1))
    return _entropy(joint.sum(axis=1)) + _entropy(joint.sum(axis=0)) - _entropy(joint.ravel())


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
