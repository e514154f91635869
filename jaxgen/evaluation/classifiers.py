"""The packaged classifiers as feature networks: digits of 28x28x1, CIFAR-10's classes of 32x32x3."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.types import Array
from jaxgen.data.class_names import CLASS_NAMES
from jaxgen.evaluation.network import FeatureNetwork, in_chunks
from jaxgen.evaluation.weights import digest_of, read_weights
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath
from jaxgen.nets import DigitClassifier, Module, ObjectClassifier, forward

HERE = Path(__file__).parent


class Classifier(NamedTuple):
    """A network from images of one size to features and logits, and the file of its weights.

    `labels_of` names the data sets whose labels are its classes.  It was trained on all `num_trained` training images
    of the first, and on no test image.
    """

    name: str
    module: Module
    spec: ImageSpec
    labels_of: tuple[str, ...]
    num_trained: int
    weights: Path


DIGIT_CLASSIFIER = Classifier(
    "digit classifier",
    DigitClassifier(),
    ImageSpec(28, 28, 1),
    ("mnist", "binarized_mnist"),
    60_000,
    HERE / "digit_classifier.safetensors",
)
CIFAR10_CLASSIFIER = Classifier(
    "CIFAR-10 classifier",
    ObjectClassifier(),
    ImageSpec(32, 32, 3),
    ("cifar10",),
    50_000,
    HERE / "cifar10_classifier.safetensors",
)


def digit_network(weights: AnyPath = DIGIT_CLASSIFIER.weights) -> FeatureNetwork:
    """The digit classifier: features [N, 64] and probabilities of the ten digits, of images of 28x28x1.

    Raises:
      InputError: the weights cannot be read, are damaged, or belong to another network.
    """
    return classifier_network(DIGIT_CLASSIFIER._replace(weights=Path(weights)))


def cifar10_network(weights: AnyPath = CIFAR10_CLASSIFIER.weights) -> FeatureNetwork:
    """The CIFAR-10 classifier: features [N, 128] and probabilities of the ten classes, of images of 32x32x3.

    Raises:
      InputError: the weights cannot be read, are damaged, or belong to another network.
    """
    return classifier_network(CIFAR10_CLASSIFIER._replace(weights=Path(weights)))


def classifier_network(classifier: Classifier) -> FeatureNetwork:
    """A packaged classifier as a feature network.

    Raises:
      InputError: the weights cannot be read, are damaged, or belong to another network.
    """
    classify = _classify(classifier)

    def extract(image: Array) -> tuple[Array, Array]:
        features, logits = classify(to_float(image))
        return features, jax.nn.softmax(logits)

    digest = digest_of(classifier.weights)
    class_names = CLASS_NAMES[classifier.labels_of[0]]
    return FeatureNetwork(
        classifier.name,
        digest,
        "none",
        in_chunks(extract),
        labels_of=classifier.labels_of,
        class_names=class_names,
    )


@cache
def packaged_network(spec: ImageSpec) -> FeatureNetwork | None:
    """The packaged classifier of images of this size, None if there is none."""
    classifiers = {classifier.spec: classifier for classifier in (DIGIT_CLASSIFIER, CIFAR10_CLASSIFIER)}
    return classifier_network(classifiers[spec]) if spec in classifiers else None


def digit_features(weights: AnyPath = DIGIT_CLASSIFIER.weights) -> Callable[[Array], Array]:
    """The differentiable function from images float32 [B, 28, 28, 1] in [-1, 1] to features [B, 64].

    Raises:
      InputError: the weights cannot be read, are damaged, or belong to another network.
    """
    classify = _classify(DIGIT_CLASSIFIER._replace(weights=Path(weights)))
    return lambda image: classify(image)[0]


def _classify(classifier: Classifier) -> Callable[[Array], tuple[Array, Array]]:
    module, example = classifier.module, jnp.zeros((1, *classifier.spec))
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), example, train=False))
    variables = read_weights(classifier.weights, template)

    def classify(image: Array) -> tuple[Array, Array]:
        if image.shape[1:] != classifier.spec:
            expected, shape = ("x".join(map(str, spec)) for spec in (classifier.spec, image.shape[1:]))
            raise InputError(f"The {classifier.name} takes images of {expected}; these are {shape}.")
        return forward(module, variables, image, train=False)[0]

    return classify
