"""Memorisation: how near drawn samples are to the training set.

    (1) memorisation   the probability that a drawn sample is nearer to the training set than a held-out sample is:
                       1/2 for a model as far from its training set as new data are, 1 for copies

It is the area under the ROC curve (Mann-Whitney's U, normalised) of the test of Meehan et al. (2020),
https://arxiv.org/abs/2004.05675, with the whole space as one cell.
"""

import numpy as np

from jaxgen.evaluation.estimate import Estimate
from jaxgen.evaluation.metric import Evaluated, Measures, Metric
from jaxgen.evaluation.neighbours import centred, nearest_distances
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.require import require_features


def memorization(train: np.ndarray, held_out: np.ndarray, drawn: np.ndarray) -> Estimate:
    """The probability (1) by features or flattened images [N, F]; a tie counts one half.

    The standard error is that of Mann-Whitney's statistic under the null hypothesis that nothing is memorised.

    Raises:
      InputError: the sets differ in F, hold values that are not finite, or are empty.
    """
    from scipy.stats import mannwhitneyu

    require_features(train, held_out, drawn)
    train, held_out, drawn = centred(*(features[content_order(features)] for features in (train, held_out, drawn)))
    new, own = (nearest_distances(images, train, k=1) for images in (held_out, drawn))
    pairs = len(new) * len(own)
    error = float(np.sqrt((len(new) + len(own) + 1) / (12 * pairs)))
    return Estimate(float(mannwhitneyu(new, own).statistic) / pairs, error)


def _measure(evaluated: Evaluated) -> Measures:
    train, held_out = evaluated.reference.train, evaluated.reference.held_out
    assert train is not None
    assert held_out is not None
    flat = [images.reshape(len(images), -1) for images in (train, held_out, evaluated.images)]
    return {"memorization": memorization(*flat)}


def _no_splits(evaluated: Evaluated) -> str | None:
    splits = evaluated.reference.train, evaluated.reference.held_out
    return "the data have no training and test split" if any(split is None for split in splits) else None


MEMORIZATION = Metric(
    name="memorization",
    meanings={"memorization": "0.5 like new images, 1 for copies"},
    compute=_measure,
    objection=_no_splits,
    needs_splits=True,
)
