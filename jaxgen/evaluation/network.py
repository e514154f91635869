"""Feature networks: what stands between images and most of the measures."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jaxgen.core.types import Array
from jaxgen.evaluation.require import require_images
from jaxgen.io.errors import InputError

CHUNK = 500


class Features(NamedTuple):
    """What a network sees in images: features float32 [N, F], and class probabilities [N, K] if it is a classifier."""

    features: np.ndarray
    probabilities: np.ndarray | None = None


class FeatureNetwork(NamedTuple):
    """A network to compare images by.

    `look` takes images uint8 [N, H, W, C].  `name`, the SHA-256 `digest` of the weights, and `resize`, what is done to
    images before, say which network a number is of.  `is_inception`: it is that of the Fréchet inception distance.
    `labels_of` are the data sets whose labels its classes are.
    """

    name: str
    digest: str
    resize: str
    extract: Callable[[np.ndarray], Features]
    is_inception: bool = False
    labels_of: tuple[str, ...] = ()


def feature_network(name: str, function: Callable[[Array], Array], *, digest: str = "") -> FeatureNetwork:
    """A network of any function of images uint8 [B, H, W, C] to features [B, F] that JAX can trace.

    `digest` is what tells this function from others of that name.
    """
    return FeatureNetwork(name, digest, "none", in_chunks(lambda image: (function(image), None)))


def in_chunks(
    extract: Callable[[Array], tuple[Array, Array | None]], chunk: int = CHUNK
) -> Callable[[np.ndarray], Features]:
    """A function of so many images at a time, to features and probabilities, as one of any number of images.

    It raises:
      InputError: no such images, or features that are not finite.
    """
    compiled = jax.jit(extract)

    def look_at(images: np.ndarray) -> Features:
        require_images(images)
        size, parts = min(chunk, len(images)), []
        for start in range(0, len(images), size):
            part = images[start : start + size]
            missing = np.zeros((size - len(part), *part.shape[1:]), np.uint8)
            seen = jax.device_get(compiled(np.concatenate([part, missing])))
            parts.append(seen)
        extracted = Features(*jax.tree.map(lambda *arrays: np.concatenate(arrays)[: len(images)], *parts))
        if not np.isfinite(extracted.features).all():
            raise InputError("The feature network gives values that are not finite.")
        return extracted

    return look_at
