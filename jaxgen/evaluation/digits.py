"""The digit classifier that the package carries, as a feature network for images of 28x28x1."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.evaluation.network import FeatureNetwork, in_chunks
from jaxgen.evaluation.weights import digest_of, read_weights
from jaxgen.image import ImageSpec, to_float
from jaxgen.nets import DigitClassifier, forward
from jaxgen.types import Array

WEIGHTS = Path(__file__).with_name("digit_classifier.safetensors")
TRAINED = 60_000
"""Digits that it was trained on: the MNIST training set; it has not seen the test set."""
SPEC = ImageSpec(28, 28, 1)


def digit_network(weights: Path = WEIGHTS) -> FeatureNetwork:
    """Features [N, 64] and probabilities of the ten digits.

    Raises:
      InputError: the weights cannot be read, are damaged, or are another network's.
    """
    classify = _classifier(weights)

    def look(image: Array) -> tuple[Array, Array]:
        features, logits = classify(to_float(image))
        return features, jax.nn.softmax(logits)

    return FeatureNetwork("digit classifier", digest_of(weights), "none", in_chunks(look))


def digit_features(weights: Path = WEIGHTS) -> Callable[[Array], Array]:
    """The function from images float32 [B, 28, 28, 1] in [-1, 1] to features [B, 64], to be differentiated.

    Raises:
      InputError: the weights cannot be read, are damaged, or are another network's.
    """
    classify = _classifier(weights)
    return lambda image: classify(image)[0]


def _classifier(weights: Path) -> Callable[[Array], tuple[Array, Array]]:
    module = DigitClassifier()
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, *SPEC)), train=False))
    variables = read_weights(weights, template)

    def classify(image: Array) -> tuple[Array, Array]:
        if image.shape[1:] != SPEC:
            given = "x".join(map(str, image.shape[1:]))
            raise InputError(f"The digit classifier sees images of 28x28x1; these are {given}.")
        return forward(module, variables, image, train=False)[0]

    return classify
