"""The packaged classifiers as feature networks: of digits for 28x28x1, of CIFAR-10's classes for all other sizes."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.types import Array
from jaxgen.data.class_names import CLASS_NAMES
from jaxgen.evaluation.network import FeatureNetwork, chunk_of, in_chunks
from jaxgen.evaluation.resize import resize, resize_name
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


def classifier_network(classifier: Classifier, spec: ImageSpec | None = None) -> FeatureNetwork:
    """A packaged classifier as a feature network, of images of its own size or of another, which it resizes.

    Raises:
      InputError: the weights cannot be read, are damaged, or belong to another network.
    """
    network, spec = classify(classifier), spec or classifier.spec

    def extract(image: Array) -> tuple[Array, Array]:
        if spec != classifier.spec:
            image = resize(image, classifier.spec)
        features, logits = network(to_float(image))
        return features, jax.nn.softmax(logits)

    return FeatureNetwork(
        classifier.name,
        digest_of(classifier.weights),
        resize_name(spec, classifier.spec),
        in_chunks(extract, chunk_of(spec)),
        labels_of=classifier.labels_of,
        class_names=CLASS_NAMES[classifier.labels_of[0]],
    )


@cache
def packaged_network(spec: ImageSpec) -> FeatureNetwork:
    """The packaged classifier for images of this size: of digits for 28x28x1, else of CIFAR-10, resized to 32x32x3."""
    return classifier_network(packaged_classifier(spec), spec)


def packaged_classifier(spec: ImageSpec) -> Classifier:
    """The packaged classifier for images of this size: of digits for 28x28x1, else of CIFAR-10."""
    return DIGIT_CLASSIFIER if spec == DIGIT_CLASSIFIER.spec else CIFAR10_CLASSIFIER


def digit_features(weights: AnyPath = DIGIT_CLASSIFIER.weights) -> Callable[[Array], Array]:
    """The differentiable function from images float32 [B, 28, 28, 1] in [-1, 1] to features [B, 64].

    Raises:
      InputError: the weights cannot be read, are damaged, or belong to another network.
    """
    network = classify(DIGIT_CLASSIFIER._replace(weights=Path(weights)))
    return lambda image: network(image)[0]


def classify(classifier: Classifier) -> Callable[[Array], tuple[Array, Array]]:
    """The differentiable function from images float32 [B, *spec] in [-1, 1] to features [B, F] and logits [B, K].

    Raises:
      InputError: the weights cannot be read, are damaged, or belong to another network; when it is called, the images
        have another size.
    """
    module, example = classifier.module, jnp.zeros((1, *classifier.spec))
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), example, train=False))
    variables = read_weights(classifier.weights, template)

    def network(image: Array) -> tuple[Array, Array]:
        if image.shape[1:] != classifier.spec:
            expected, shape = ("x".join(map(str, spec)) for spec in (classifier.spec, image.shape[1:]))
            raise InputError(f"The {classifier.name} takes images of {expected}; these are {shape}.")
        return forward(module, variables, image, train=False)[0]

    return network
