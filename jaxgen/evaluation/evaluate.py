"""Computes every metric that applies to drawn images, and records what their values depend on."""

import importlib.metadata
from typing import Any

import numpy as np

from jaxgen.core.image import ImageSpec
from jaxgen.evaluation.classes import CLASSES
from jaxgen.evaluation.classifiers import packaged_network
from jaxgen.evaluation.frechet import FRECHET
from jaxgen.evaluation.inception import inception_network
from jaxgen.evaluation.kernel import KERNEL
from jaxgen.evaluation.memorization import MEMORIZATION
from jaxgen.evaluation.metric import Evaluated, Measures, Metric, Reference
from jaxgen.evaluation.neighbours import MANIFOLD
from jaxgen.evaluation.network import FeatureNetwork
from jaxgen.evaluation.require import require_images
from jaxgen.evaluation.similarity import DIVERSITY
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath
from jaxgen.io.terminal import progress

METRICS: tuple[Metric, ...] = (FRECHET, KERNEL, MANIFOLD, CLASSES, MEMORIZATION, DIVERSITY)

PACKAGES = ("jaxgen", "jax", "jaxlib", "flax", "numpy", "scipy")


def evaluate(
    images: np.ndarray,
    reference: Reference,
    network: FeatureNetwork,
    *,
    metrics: tuple[str, ...] = (),
    seed: int = 0,
    allow_few: bool = False,
    labels: np.ndarray | None = None,
) -> Measures:
    """The measures of drawn images uint8 [N, H, W, C] by name: those of `metrics`, by default all that suit the data.

    `allow_few` allows a Fréchet distance of no more images than features.  `labels` [N] are the classes, numbered as
    the network's, that the images were drawn for.

    Raises:
      InputError: a metric is unknown or does not apply, or the images cannot be compared.
    """
    require_metrics(metrics)
    evaluated = extract_features(images, reference, network, seed=seed, allow_few=allow_few, labels=labels)
    return measure(evaluated, metrics)


def extract_features(
    images: np.ndarray,
    reference: Reference,
    network: FeatureNetwork,
    *,
    seed: int = 0,
    allow_few: bool = False,
    labels: np.ndarray | None = None,
) -> Evaluated:
    """The images uint8 [N, H, W, C] with their features and all else that metrics take; the options of `evaluate`.

    Raises:
      InputError: the images cannot be compared.
    """
    require_images(images, reference.images)
    return Evaluated(images, network.extract(images), reference, network, seed, allow_few, labels)


def measure(evaluated: Evaluated, metrics: tuple[str, ...] = ()) -> Measures:
    """The measures by name of some metrics, by default of all that suit the data.

    Raises:
      InputError: a metric does not apply.
    """
    by_name, chosen = {metric.name: metric for metric in METRICS}, []
    for metric in (by_name[name] for name in metrics or by_name):
        objection = metric.objection(evaluated)
        if objection and metrics:
            raise InputError(f"--metrics {metric.name} does not apply: {objection}.")
        if metrics or (not objection and metric.is_default(evaluated)):
            chosen.append(metric)
    measured = progress(lambda metric: metric.compute(evaluated), chosen, "Computing the measures")
    return {name: value for measures in measured for name, value in measures.items()}


def require_metrics(metrics: tuple[str, ...]) -> None:
    """Refuses names of unknown metrics.

    Raises:
      InputError: naming the known ones.
    """
    known = [metric.name for metric in METRICS]
    for name in metrics:
        if name not in known:
            raise InputError(f"--metrics {name} is unknown: expected {', '.join(known)}.")


def needs_training(metrics: tuple[str, ...]) -> bool:
    """Whether one of these metrics, or of all where none are named, needs the training images."""
    return any(metric.needs_training for metric in METRICS if not metrics or metric.name in metrics)


def meanings(evaluated: Evaluated | None = None) -> dict[str, str]:
    """How to read each measure, by name: in general, or of these images."""
    general = {name: meaning for metric in METRICS for name, meaning in metric.meanings.items()}
    notes = [metric.notes(evaluated) for metric in METRICS] if evaluated else []
    return general | {name: note for one in notes for name, note in one.items()}


def choose_network(spec: ImageSpec, inception: AnyPath | None = None) -> FeatureNetwork:
    """Inception-v3 with weights from a file, or else the packaged classifier for images of this size.

    Raises:
      InputError: the weights cannot be used.
    """
    return packaged_network(spec) if inception is None else inception_network(inception)


def provenance(network: FeatureNetwork) -> dict[str, Any]:
    """The feature network and the package versions that measures depend on, and what they can be compared with."""
    return {
        "network": {"name": network.name, "sha256": network.digest, "resize": network.resize},
        "comparable_with": comparable_with(network),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
    }


def comparable_with(network: FeatureNetwork) -> str:
    """What distances in the features of a network can be compared with, and what not, in one sentence."""
    same = "of as many images, drawn and real, from the same real images"
    if network.is_inception:
        return f"FID and KID compare only with those {same}."
    return f"Distances compare only with those in the features of this network with this resize, {same}; not with FID."
