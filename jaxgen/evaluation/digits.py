"""The digit classifier that the package carries, as a feature network for images of 28x28x1."""

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
    module = DigitClassifier()
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, *SPEC)), train=False))
    variables = read_weights(weights, template)

    def look(image: Array) -> tuple[Array, Array]:
        if image.shape[1:] != SPEC:
            given = "x".join(map(str, image.shape[1:]))
            raise InputError(f"The digit classifier sees images of 28x28x1; these are {given}.")
        (features, logits), _ = forward(module, variables, to_float(image), train=False)
        return features, jax.nn.softmax(logits)

    return FeatureNetwork("digit classifier", digest_of(weights), "none", in_chunks(look))
