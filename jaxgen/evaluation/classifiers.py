"""Classifiers that the package carries, as feature networks: of digits 28x28x1, and of what CIFAR-10 shows 32x32x3."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.types import Array
from jaxgen.evaluation.network import FeatureNetwork, in_chunks
from jaxgen.evaluation.weights import digest_of, read_weights
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath
from jaxgen.nets import DigitClassifier, Module, ObjectClassifier, forward

HERE = Path(__file__).parent


class Carried(NamedTuple):
    """A network to features and logits, and the images that it sees.

    `labels_of` are the data sets whose labels its classes are; the weights are of all the `trained` training images of
    the first, and no test image was seen.
    """

    name: str
    module: Module
    spec: ImageSpec
    labels_of: tuple[str, ...]
    trained: int
    weights: Path


DIGIT_CLASSIFIER = Carried(
    "digit classifier",
    DigitClassifier(),
    ImageSpec(28, 28, 1),
    ("mnist", "binarized_mnist"),
    60_000,
    HERE / "digit_classifier.safetensors",
)
CIFAR10_CLASSIFIER = Carried(
    "CIFAR-10 classifier",
    ObjectClassifier(),
    ImageSpec(32, 32, 3),
    ("cifar10",),
    50_000,
    HERE / "cifar10_classifier.safetensors",
)


def digit_network(weights: AnyPath = DIGIT_CLASSIFIER.weights) -> FeatureNetwork:
    """Features [N, 64] and probabilities of the ten digits, of images 28x28x1.

    Raises:
      InputError: the weights cannot be read, are damaged, or are another network's.
    """
    return carried_network(DIGIT_CLASSIFIER._replace(weights=Path(weights)))


def cifar10_network(weights: AnyPath = CIFAR10_CLASSIFIER.weights) -> FeatureNetwork:
    """Features [N, 128] and probabilities of the ten classes of CIFAR-10, of images 32x32x3.

    Raises:
      InputError: the weights cannot be read, are damaged, or are another network's.
    """
    return carried_network(CIFAR10_CLASSIFIER._replace(weights=Path(weights)))


def carried_network(carried: Carried) -> FeatureNetwork:
    """One of the classifiers.

    Raises:
      InputError: the weights cannot be read, are damaged, or are another network's.
    """
    classify = _classify(carried)

    def extract(image: Array) -> tuple[Array, Array]:
        features, logits = classify(to_float(image))
        return features, jax.nn.softmax(logits)

    digest = digest_of(carried.weights)
    return FeatureNetwork(carried.name, digest, "none", in_chunks(extract), labels_of=carried.labels_of)


@cache
def packaged_network(spec: ImageSpec) -> FeatureNetwork | None:
    """The classifier of images of this size, if there is one."""
    return next(
        (carried_network(carried) for carried in (DIGIT_CLASSIFIER, CIFAR10_CLASSIFIER) if carried.spec == spec), None
    )


def digit_features(weights: AnyPath = DIGIT_CLASSIFIER.weights) -> Callable[[Array], Array]:
    """The function from images float32 [B, 28, 28, 1] in [-1, 1] to features [B, 64], to be differentiated.

    Raises:
      InputError: the weights cannot be read, are damaged, or are another network's.
    """
    classify = _classify(DIGIT_CLASSIFIER._replace(weights=Path(weights)))
    return lambda image: classify(image)[0]


def _classify(carried: Carried) -> Callable[[Array], tuple[Array, Array]]:
    module, given = carried.module, jnp.zeros((1, *carried.spec))
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), given, train=False))
    variables = read_weights(carried.weights, template)

    def classify(image: Array) -> tuple[Array, Array]:
        if image.shape[1:] != carried.spec:
            expected, shape = ("x".join(map(str, spec)) for spec in (carried.spec, image.shape[1:]))
            raise InputError(f"The {carried.name} sees images of {expected}; these are {shape}.")
        return forward(module, variables, image, train=False)[0]

    return classify
