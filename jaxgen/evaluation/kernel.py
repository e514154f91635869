"""The kernel distance (KID): the squared maximum mean discrepancy of features under a cubic kernel.

Binkowski et al. (2018), https://arxiv.org/abs/1801.01401; Gretton et al. (2012), equation (3), unbiased:

    k(x, y) = (x.y / F + 1)^3
    sum_{i != j} k(x_i, x_j) / m (m - 1) + sum_{i != j} k(y_i, y_j) / m (m - 1) - 2 sum_{ij} k(x_i, y_j) / m^2
"""

import numpy as np

from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.metric import Evaluated, Measures, Metric
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.require import require_features
from jaxgen.io.errors import InputError


def kernel_distance(first: np.ndarray, second: np.ndarray, *, subset: int = 1_000, seed: int = 0) -> Estimate:
    """The kernel distance between sets of features [N, F] and [M, F]: unbiased, so that it can be negative by chance.

    It is the mean over disjoint random subsets of `subset` features from each set.  These are independent, unlike
    subsets drawn with replacement, so that their spread gives the standard error.  A smaller set is one subset.

    Raises:
      InputError: the sets differ in F, hold values that are not finite or fewer than two samples; or `subset` < 2.
    """
    require_features(first, second, least=2)
    if subset < 2:
        raise InputError(f"Subsets of {subset} samples; expected at least 2.")
    rng, size = np.random.default_rng(seed), min(subset, len(first), len(second))
    orders = [content_order(features)[rng.permutation(len(features))] for features in (first, second)]
    ends = range(size, min(len(first), len(second)) + 1, size)
    parts = [[order[end - size : end] for order in orders] for end in ends]
    return mean_of([_discrepancy(first[one], second[other]) for one, other in parts])


def _discrepancy(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first.astype(np.float64), second.astype(np.float64)
    size = len(first)
    within = [_kernel(features, features) for features in (first, second)]
    same = sum((kernel.sum() - np.trace(kernel)) / (size * (size - 1)) for kernel in within)
    return float(same - 2 * _kernel(first, second).mean())


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first @ second.T / first.shape[1] + 1) ** 3


def _measure(evaluated: Evaluated) -> Measures:
    name = "KID" if evaluated.network.is_inception else "kernel distance"
    drawn, real = evaluated.drawn, evaluated.real
    return {name: kernel_distance(drawn, real, seed=evaluated.seed)}


KERNEL = Metric(
    name="kernel",
    meanings={"kernel distance": "0 for equal distributions", "KID": "0 for equal distributions"},
    compute=_measure,
)
