"""Measures of a classifier's probabilities p(y | x) [N, K] for drawn samples.

    (1) score     exp E_x KL(p(y | x) || p(y)), from 1 to K; K if predictions are confident and classes equally frequent
    (2) balance   exp(entropy of the classes' shares) / K, from 1/K to 1; 1 if the shares are equal

(1): Salimans et al. (2016), https://arxiv.org/abs/1606.03498; the Inception score if the classifier is Inception-v3.
"""

from typing import NamedTuple

import numpy as np

from jaxgen.data.class_names import listed
from jaxgen.evaluation.alignment import label_accuracy
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.metric import Evaluated, Measures, Metric
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.require import require_probabilities
from jaxgen.io.errors import InputError


class Classes(NamedTuple):
    """The share [K] of each class, the number of classes that occur, the smallest share, and the balance (2)."""

    shares: np.ndarray
    covered: int
    rarest: float
    balance: float


def class_score(probabilities: np.ndarray, *, splits: int = 10) -> Estimate:
    """The score (1): the mean over `splits` random parts of the samples.

    The published score takes consecutive parts, which are random ones only if the samples are in random order.

    Raises:
      InputError: no class probabilities, or fewer samples than splits.
    """
    require_probabilities(probabilities)
    if not 1 <= splits <= len(probabilities):
        raise InputError(f"{splits} splits of {len(probabilities)} samples; expected from 1 to as many as samples.")
    probabilities = probabilities[content_order(probabilities)]
    return mean_of([_score(part.astype(np.float64)) for part in np.array_split(probabilities, splits)])


def count_classes(probabilities: np.ndarray) -> Classes:
    """Counts the most probable class of each sample.

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


def _measure(evaluated: Evaluated) -> Measures:
    probabilities, labels = evaluated.features.probabilities, evaluated.labels
    assert probabilities is not None
    classes, size = count_classes(probabilities), len(probabilities)
    accuracy = {} if labels is None else {"label accuracy": label_accuracy(probabilities, labels)}
    return accuracy | {
        "class score": class_score(probabilities, splits=max(1, min(10, size // 100))),
        "classes covered": Estimate(float(classes.covered)),
        "rarest class": Estimate(classes.rarest, float(np.sqrt(classes.rarest * (1 - classes.rarest) / size))),
        "class balance": Estimate(classes.balance),
    }


def _rarest_name(evaluated: Evaluated) -> dict[str, str]:
    """The meaning of "rarest class" with the name of the class, if there is one."""
    probabilities, names = evaluated.features.probabilities, evaluated.network.class_names
    if probabilities is None or len(names) != probabilities.shape[1]:
        return {}
    shares = count_classes(probabilities).shares
    rarest = [name for name, share in zip(names, shares, strict=True) if share == shares.min()]
    return {"rarest class": f"share of drawn images that are {listed(rarest)}"}


def _no_probabilities(evaluated: Evaluated) -> str | None:
    has_none = evaluated.features.probabilities is None
    return f"the {evaluated.network.name} gives no class probabilities" if has_none else None


def _has_classes_of_network(evaluated: Evaluated) -> bool:
    """Whether the data's classes are, or may be, the network's: a classifier of digits is not one of clothes."""
    data, known = evaluated.reference.data, evaluated.network.labels_of
    return data is None or not known or data in known


CLASSES = Metric(
    name="classes",
    meanings={
        "label accuracy": "share classified as their label",
        "class score": "from 1 to the number of classes",
        "classes covered": "classes that occur",
        "rarest class": "its share of drawn images",
        "class balance": "1 for equal shares",
    },
    compute=_measure,
    objection=_no_probabilities,
    is_default=_has_classes_of_network,
    notes=_rarest_name,
)
