"""Every measure that applies to a set of drawn images, with all that is needed to get the same numbers again."""

import importlib.metadata
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxgen.core.image import ImageSpec
from jaxgen.evaluation.alignment import label_accuracy
from jaxgen.evaluation.classes import class_score, count_classes
from jaxgen.evaluation.classifiers import packaged_network
from jaxgen.evaluation.estimate import Estimate
from jaxgen.evaluation.frechet import frechet_distance
from jaxgen.evaluation.inception import inception_network
from jaxgen.evaluation.kernel import kernel_distance
from jaxgen.evaluation.neighbours import compare_manifolds, memorization
from jaxgen.evaluation.network import FeatureNetwork, Features
from jaxgen.evaluation.require import require_images
from jaxgen.evaluation.similarity import WINDOW, diversity
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath

PACKAGES = ("jaxgen", "jax", "jaxlib", "flax", "numpy", "scipy")
RESAMPLES, SMALL = 20, 256
"""Resamples of a bootstrap, which is left out for more features than SMALL: it would take as many times as long."""


class Reference(NamedTuple):
    """What drawn images are compared with: images uint8 [N, H, W, C], and what the network sees in them.

    For memorisation: the images that the model was trained on, and others that it was not.  `data` is the data set's
    name, if that is known: by default classes are counted where they are the network's, or the name is not known.
    """

    images: np.ndarray
    extracted: Features
    train: np.ndarray | None = None
    held_out: np.ndarray | None = None
    data: str | None = None


class Evaluated(NamedTuple):
    """The images that are judged and what the network sees in them."""

    images: np.ndarray
    extracted: Features
    reference: Reference
    network: FeatureNetwork
    seed: int
    allow_few: bool
    labels: np.ndarray | None


Measures = dict[str, Estimate]


def judge(
    images: np.ndarray,
    reference: Reference,
    network: FeatureNetwork,
    *,
    metrics: tuple[str, ...] = (),
    seed: int = 0,
    allow_few: bool = False,
    labels: np.ndarray | None = None,
) -> Measures:
    """The measures by name, of drawn images uint8 [N, H, W, C]; those of `metrics`, by default all that apply.

    `allow_few` allows fewer images than features.  `labels` [N] are the network's classes that the images were to have.

    Raises:
      InputError: unknown metrics, ones that do not apply, or images that cannot be judged.
    """
    require_images(images, reference.images)
    require_metrics(metrics)
    judged = Evaluated(images, network.extract(images), reference, network, seed, allow_few, labels)
    measures: Measures = {}
    for name in metrics or _usual(judged):
        if missing := _missing(name, judged):
            if metrics:
                raise InputError(f"--metrics {name} does not apply: {missing}.")
            continue
        measures |= METRICS[name](judged)
    return measures


def require_metrics(metrics: tuple[str, ...]) -> None:
    """Refuses names that are no metrics.

    Raises:
      InputError: naming those that are.
    """
    for name in metrics:
        if name not in METRICS:
            raise InputError(f"--metrics {name} is unknown: expected {', '.join(METRICS)}.")


def choose_network(spec: ImageSpec, source: str, inception: AnyPath | None = None) -> FeatureNetwork:
    """Inception with the weights in that file, or else the classifier of images of the size of those from `source`.

    Raises:
      InputError: there is none, or the weights cannot be used.
    """
    if inception is not None:
        return inception_network(inception)
    network = packaged_network(spec)
    if network is None:
        given = "x".join(map(str, spec))
        raise InputError(f"{source} are {given}, the packaged classifiers see 28x28x1 and 32x32x3: give --inception.")
    return network


def provenance(network: FeatureNetwork) -> dict[str, Any]:
    """The network and the versions that numbers are of."""
    return {
        "network": {"name": network.name, "sha256": network.digest, "resize": network.resize},
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
    }


def _usual(judged: Evaluated) -> list[str]:
    """All measures, but those of classes only where they are the network's: a shirt is no digit."""
    data, known = judged.reference.data, judged.network.labels_of
    is_foreign = data is not None and bool(known) and data not in known
    return [name for name in METRICS if name != "classes" or not is_foreign]


def _missing(name: str, judged: Evaluated) -> str | None:
    if name == "classes" and judged.extracted.probabilities is None:
        return f"the {judged.network.name} gives no class probabilities"
    if name == "memorization" and (judged.reference.train is None or judged.reference.held_out is None):
        return "the data have no training and test split"
    if name == "diversity" and min(judged.images.shape[1:3]) < WINDOW:
        return f"the images are smaller than {WINDOW}x{WINDOW}"
    return None


def _frechet(judged: Evaluated) -> Measures:
    drawn, real = judged.extracted.features, judged.reference.extracted.features
    name = "FID" if judged.network.is_inception else "Fréchet distance"
    value = frechet_distance(drawn, real, allow_few=judged.allow_few)
    if drawn.shape[1] > SMALL:
        return {name: Estimate(value)}
    rng = np.random.default_rng(judged.seed)
    again = [
        frechet_distance(*(part[rng.integers(len(part), size=len(part))] for part in (drawn, real)), allow_few=True)
        for _ in range(RESAMPLES)
    ]
    return {name: Estimate(value, float(np.std(again, ddof=1)))}


def _kernel(judged: Evaluated) -> Measures:
    name = "KID" if judged.network.is_inception else "kernel distance"
    return {name: kernel_distance(judged.extracted.features, judged.reference.extracted.features, seed=judged.seed)}


def _manifold(judged: Evaluated) -> Measures:
    return compare_manifolds(judged.reference.extracted.features, judged.extracted.features)._asdict()


def _classes(judged: Evaluated) -> Measures:
    probabilities = judged.extracted.probabilities
    assert probabilities is not None
    classes, size = count_classes(probabilities), len(probabilities)
    told = {} if judged.labels is None else {"label accuracy": label_accuracy(probabilities, judged.labels)}
    return told | {
        "class score": class_score(probabilities, splits=max(1, min(10, size // 100))),
        "classes covered": Estimate(float(classes.covered)),
        "rarest class": Estimate(classes.rarest, float(np.sqrt(classes.rarest * (1 - classes.rarest) / size))),
        "class balance": Estimate(classes.balance),
    }


def _memorization(judged: Evaluated) -> Measures:
    train, held_out = judged.reference.train, judged.reference.held_out
    assert train is not None
    assert held_out is not None
    flat = [images.reshape(len(images), -1) for images in (train, held_out, judged.images)]
    return {"memorization": memorization(*flat)}


def _diversity(judged: Evaluated) -> Measures:
    drawn, real = (diversity(images, seed=judged.seed) for images in (judged.images, judged.reference.images))
    return {"diversity": drawn, "diversity of real": real}


METRICS: Mapping[str, Callable[[Evaluated], Measures]] = {
    "frechet": _frechet,
    "kernel": _kernel,
    "manifold": _manifold,
    "classes": _classes,
    "memorization": _memorization,
    "diversity": _diversity,
}
