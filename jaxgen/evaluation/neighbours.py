"""Nearest-neighbour measures of how two sets of features cover each other.

The manifold of a set is the union of the balls B_k(x), around each x to its k-th nearest neighbour in the set: open
balls, which hold their centre even where all k neighbours are copies of it.  With real samples x_i, i <= N, and drawn
samples y_j, j <= M:

    (1) precision   the share of y_j in any B_k(x_i)
    (2) recall      the share of x_i in any B_k(y_j)
    (3) density     the number of pairs with y_j in B_k(x_i), divided by k M; may exceed 1
    (4) coverage    the share of B_k(x_i) with any y_j inside

(1), (2): Kynkäänniemi et al. (2019), https://arxiv.org/abs/1904.06991.  (3), (4): Naeem et al. (2020),
https://arxiv.org/abs/2002.09797.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.types import Array
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.metric import Evaluated, Measures, Metric
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.require import require_features
from jaxgen.io.errors import InputError

NEIGHBOURS = 5
"""The default of k."""

CHUNK = 1_000
"""Rows of a matrix of distances that exist at a time."""


class Manifold(NamedTuple):
    """Precision, recall, density and coverage, (1) to (4)."""

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def compare_manifolds(real: np.ndarray, drawn: np.ndarray, *, k: int = NEIGHBOURS) -> Manifold:
    """Precision, recall, density and coverage of features [N, F] and [M, F].  Standard errors take balls as fixed.

    Raises:
      InputError: the sets differ in F, hold values that are not finite, or have k samples or fewer; or k < 1.
    """
    if k < 1:
        raise InputError(f"k = {k} nearest neighbours; expected at least 1.")
    require_features(real, drawn, least=k + 1)
    real, drawn = centred(*(features[content_order(features)] for features in (real, drawn)))
    real_radii, drawn_radii = (nearest_distances(own, own, k=k, is_self=True) for own in (real, drawn))
    rows = [
        jax.device_get(_hits(real[start : start + CHUNK], real_radii[start : start + CHUNK], drawn, drawn_radii))
        for start in range(0, len(real), CHUNK)
    ]
    is_recalled, is_covered = (np.concatenate([row[index] for row in rows]) for index in (0, 1))
    balls = np.sum([row[2] for row in rows], axis=0)
    return Manifold(mean_of(balls > 0), mean_of(is_recalled), mean_of(balls / k), mean_of(is_covered))


def nearest_neighbours(
    of: np.ndarray, to: np.ndarray, *, k: int, is_self: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The Euclidean distances [N, k] of features [N, F] to their k nearest neighbours among [M, F], and the indices.

    `is_self` says that `of` are the first of `to`, in that order, and that none is its own neighbour.
    """
    on_device = jnp.asarray(to)
    parts = [
        _nearest(jnp.asarray(of[start : start + CHUNK]), on_device, k + is_self) for start in range(0, len(of), CHUNK)
    ]
    distances, index = (np.concatenate(arrays) for arrays in zip(*jax.device_get(parts), strict=True))
    return _without_self(distances, index) if is_self else (distances, index)


def _without_self(distances: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distances and indices [N, k] of [N, k + 1] without row i's own index i, or the last one if it is not there.

    A row is not always its own first neighbour: others may be equal to it.
    """
    own = index == np.arange(len(index))[:, None]
    place = np.where(own.any(axis=1), own.argmax(axis=1), index.shape[1] - 1)
    kept = np.arange(index.shape[1]) != place[:, None]
    return distances[kept].reshape(len(index), -1), index[kept].reshape(len(index), -1)


def nearest_distances(of: np.ndarray, to: np.ndarray, *, k: int, is_self: bool = False) -> np.ndarray:
    """The distances [N] of features [N, F] to their k-th nearest neighbours among [M, F]."""
    return nearest_neighbours(of, to, k=k, is_self=is_self)[0][:, -1]


def centred(*sets: np.ndarray) -> list[np.ndarray]:
    """Sets of features, divided by a power of two and minus the mean of the first, float32 [N, F]."""
    # A distance is a difference of squares, in float32: a common offset would cost digits, and squares overflow.
    largest = max(float(np.abs(features).max()) for features in sets)
    power = np.float32(2.0 ** max(math.frexp(largest)[1] - 1, -126))
    scaled = [(features / power).astype(np.float32, copy=False) for features in sets]
    mean = scaled[0].mean(axis=0, dtype=np.float64).astype(np.float32)
    return [features - mean for features in scaled]


def _squared_distances(of: Array, to: Array) -> Array:
    products = jnp.matmul(of, to.T, precision=jax.lax.Precision.HIGHEST)
    return jnp.maximum(0, jnp.square(of).sum(axis=1)[:, None] + jnp.square(to).sum(axis=1) - 2 * products)


@partial(jax.jit, static_argnums=2)
def _nearest(of: Array, to: Array, k: int) -> tuple[Array, Array]:
    # All k are returned: if only a part is used, XLA's CPU back end sorts all distances, which takes 25 times as long.
    nearness, index = jax.lax.top_k(-_squared_distances(of, to), k)
    return jnp.sqrt(-nearness), index


@jax.jit
def _hits(real: Array, real_radii: Array, drawn: Array, drawn_radii: Array) -> tuple[Array, Array, Array]:
    """Whether each real sample is in a drawn ball, whether its ball holds a drawn sample; real balls of each drawn."""
    distances = jnp.sqrt(_squared_distances(real, drawn))
    is_same = distances == 0
    in_balls = (distances < real_radii[:, None]) | is_same
    return ((distances < drawn_radii) | is_same).any(axis=1), in_balls.any(axis=1), in_balls.sum(axis=0)


def _too_few(evaluated: Evaluated) -> str | None:
    fewest = min(len(evaluated.drawn), len(evaluated.real))
    return f"it needs {NEIGHBOURS + 1} images of each kind, and there are {fewest}" if fewest <= NEIGHBOURS else None


def _measure_manifold(evaluated: Evaluated) -> Measures:
    return compare_manifolds(evaluated.real, evaluated.drawn)._asdict()


MANIFOLD = Metric(
    name="manifold",
    meanings={
        "precision": "share of drawn on the real manifold",
        "recall": "share of real on the drawn manifold",
        "density": "1 if as dense as real",
        "coverage": "share of real with drawn nearby",
    },
    compute=_measure_manifold,
    objection=_too_few,
)
