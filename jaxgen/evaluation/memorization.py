"""Memorisation: how near drawn images are to the training set.

    (1) memorisation   the probability that a drawn image is nearer to the training set than a new image is: 1/2 for a
                       model as far from its training set as new data are, 1 for copies
    (2) copies         the share of drawn images whose pixels differ from those of their nearest training image by two
                       grey levels of 255 or less, by the root of the mean square

(1) is the area under the ROC curve (Mann-Whitney's U, normalised) of the test of Meehan et al. (2020),
https://arxiv.org/abs/2004.05675, with the whole space as one cell.  New images are held-out ones; where none are held
out, the training images stand for them, each compared with the others (leave-one-out).

Distances are between features of the packaged classifier, whichever network the other measures use: flipped and shifted
copies stay near in these, and the training set need not be fed to a large network.
"""

from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from jaxgen.core.image import ImageSpec
from jaxgen.evaluation.cache import cached_features
from jaxgen.evaluation.classifiers import packaged_network
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.metric import Evaluated, Measures, Metric
from jaxgen.evaluation.neighbours import centred, nearest_neighbours
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.require import require_features

COPY_LEVELS = 2.0
"""The largest difference of a copy, in grey levels of 255."""

LEFT_OUT = 10_000
"""Training images that are compared with the others where no images are held out."""

CHUNK = 2**24
"""Values of images whose differences are computed at a time."""


class MemorizationFeatures(NamedTuple):
    """Features [N, F] of the drawn images, the training images, and the held-out images if there are any."""

    drawn: np.ndarray
    train: np.ndarray
    held_out: np.ndarray | None


class Nearest(NamedTuple):
    """Distances of drawn images and of new ones to their nearest training images, and the indices of these.

    `new` are the indices of the new images, among the held-out ones or, left out, among the training images.
    """

    drawn_distance: np.ndarray
    drawn_nearest: np.ndarray
    new: np.ndarray
    new_distance: np.ndarray
    new_nearest: np.ndarray


def memorization(train: np.ndarray, held_out: np.ndarray | None, drawn: np.ndarray) -> Estimate:
    """The probability (1) by features or flattened images [N, F]; a tie counts one half.

    `held_out` None compares with the training set itself, each member with the others.  The standard error is that of
    Mann-Whitney's statistic under the null hypothesis that nothing is memorised, for independent distances.

    Raises:
      InputError: the sets differ in F, hold values that are not finite, or are empty; or one member has no others.
    """
    nearest = nearest_training(MemorizationFeatures(drawn, train, held_out))
    return _probability(nearest.new_distance, nearest.drawn_distance)


def nearest_training(features: MemorizationFeatures) -> Nearest:
    """The nearest training image of each drawn image and of each new one.

    Raises:
      InputError: the sets differ in F, hold values that are not finite, or are empty; or one member has no others.
    """
    drawn, train, held_out = features
    require_features(train, least=1 if held_out is not None else 2)
    require_features(train, drawn, *(() if held_out is None else (held_out,)))
    order = content_order(train)
    new = order[:LEFT_OUT] if held_out is None else np.arange(len(held_out))
    train, drawn, others = centred(train[order], drawn, train[new] if held_out is None else held_out)
    distance, index = nearest_neighbours(drawn, train, k=1)
    new_distance, new_index = nearest_neighbours(others, train, k=1, is_self=held_out is None)
    return Nearest(distance[:, 0], order[index[:, 0]], new, new_distance[:, 0], order[new_index[:, 0]])


@lru_cache(maxsize=1)
def nearest_of(evaluated: Evaluated) -> tuple[MemorizationFeatures, Nearest]:
    """The features in which memorisation is measured, and the nearest training images by them.

    The last ones are kept: the metric and the picture of neighbours both need them.

    Raises:
      InputError: the features cannot be compared.
    """
    features = _features_of(evaluated)
    return features, nearest_training(features)


def _features_of(evaluated: Evaluated) -> MemorizationFeatures:
    """The features in which memorisation is measured; those of real images come from the cache if they are there."""
    reference, network = evaluated.reference, packaged_network(ImageSpec(*evaluated.images.shape[1:]))
    assert reference.train is not None
    is_same = (network.digest, network.resize) == (evaluated.network.digest, evaluated.network.resize)

    def of_real(images: np.ndarray) -> np.ndarray:
        if is_same and images is reference.images:
            return evaluated.real
        digest = sha256(repr(images.shape).encode())
        digest.update(np.ascontiguousarray(images).data)
        return cached_features(network, images, digest.hexdigest()).features

    return MemorizationFeatures(
        drawn=evaluated.drawn if is_same else network.extract(evaluated.images).features,
        train=of_real(reference.train),
        held_out=None if reference.held_out is None else of_real(reference.held_out),
    )


def pixel_differences(first: np.ndarray, second: np.ndarray, of: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The root mean square differences [P], in grey levels of 255, of images uint8 [N, H, W, C] and [M, H, W, C].

    The pairs are `first[of]` and `second[to]`, with indices [P].
    """
    size = max(1, CHUNK // first[0].size)
    parts = [slice(start, start + size) for start in range(0, len(of), size)]
    squares = [np.square(first[of[part]].astype(np.float32) - second[to[part]]).mean((1, 2, 3)) for part in parts]
    return np.sqrt(np.concatenate(squares))


def _probability(new: np.ndarray, own: np.ndarray) -> Estimate:
    from scipy.stats import mannwhitneyu

    pairs = len(new) * len(own)
    error = float(np.sqrt((len(new) + len(own) + 1) / (12 * pairs)))
    return Estimate(float(mannwhitneyu(new, own).statistic) / pairs, error)


def _measure(evaluated: Evaluated) -> Measures:
    train, held_out = evaluated.reference.train, evaluated.reference.held_out
    assert train is not None
    (_, nearest), new = nearest_of(evaluated), train if held_out is None else held_out
    every = np.arange(len(evaluated.images))
    drawn_levels = pixel_differences(evaluated.images, train, every, nearest.drawn_nearest)
    new_levels = pixel_differences(new, train, nearest.new, nearest.new_nearest)
    return {
        "memorization": _probability(nearest.new_distance, nearest.drawn_distance),
        "copies": mean_of(drawn_levels <= COPY_LEVELS),
        "copies among real": mean_of(new_levels <= COPY_LEVELS),
    }


def _objection(evaluated: Evaluated) -> str | None:
    train, held_out = evaluated.reference.train, evaluated.reference.held_out
    if train is None:
        return "the training images are not known"
    return "there is only one training image" if held_out is None and len(train) < 2 else None


def _compared_with(evaluated: Evaluated) -> dict[str, str]:
    """The meanings of the measures with what new images are here."""
    if evaluated.reference.train is None or evaluated.reference.held_out is not None:
        return {}
    return {
        "memorization": "0.5 as near as training images are to each other (none are held out), 1 for copies",
        "copies among real": "the same of training images and the others",
    }


MEMORIZATION = Metric(
    name="memorization",
    meanings={
        "memorization": "0.5 like new images, 1 for copies",
        "copies": f"share within {COPY_LEVELS:g} grey levels of a training image",
        "copies among real": "the same of held-out images",
    },
    compute=_measure,
    objection=_objection,
    needs_training=True,
    notes=_compared_with,
)
