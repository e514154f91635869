"""Feature networks: most measures compare images by the features of a pretrained network."""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import jax
import numpy as np

from jaxgen.core.map_rows import map_rows, rows_per_device
from jaxgen.core.precision import at_precision
from jaxgen.core.types import Array
from jaxgen.evaluation.require import require_images
from jaxgen.io.errors import InputError

CHUNK, VALUES = 500, 2**21
"""Images, or pairs of them, that are processed at a time, and the most values of theirs."""


class Features(NamedTuple):
    """Features float32 [N, F] of images, and class probabilities [N, K] if the network is a classifier."""

    features: np.ndarray
    probabilities: np.ndarray | None = None


class FeatureNetwork(NamedTuple):
    """A network in whose features images are compared.

    `extract` takes images uint8 [N, H, W, C].  `name`, the SHA-256 `digest` of the weights and how images are resized
    identify the network that a measure depends on.  `is_inception` says that it is the Inception-v3 of FID and KID.
    `labels_of` names the data sets whose labels are its classes, and `class_names` these, or nothing.
    """

    name: str
    digest: str
    resize: str
    extract: Callable[[np.ndarray], Features]
    is_inception: bool = False
    labels_of: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()


def feature_network(name: str, function: Callable[[Array], Array], *, digest: str = "") -> FeatureNetwork:
    """A feature network from any JAX function of images uint8 [B, H, W, C] to features [B, F].

    `digest` distinguishes this function from others of that name; without one its features are never cached.
    """
    return FeatureNetwork(name, digest, "none", in_chunks(lambda image: (function(image), None)))


def chunk_of(shape: tuple[int, ...]) -> int:
    """How many images of this shape are processed at a time, in memory that does not depend on their size."""
    return max(1, min(CHUNK, VALUES // prod(shape)))


def in_chunks(
    extract: Callable[[Array], tuple[Array, Array | None]], chunk: int = CHUNK
) -> Callable[[np.ndarray], Features]:
    """Applies `extract`, from images uint8 [B, H, W, C] to features and probabilities, to any number of images.

    Each device takes at most `chunk` images at a time, or 128 if it is an accelerator and `chunk` is less.

    The function that it returns raises:
      InputError: the images are not uint8 [N, H, W, C], or the features are not finite.
    """
    precise = at_precision("highest", extract)  # the same on any device
    mapped = map_rows(lambda _, images: precise(images))

    def extract_all(images: np.ndarray) -> Features:
        require_images(images)
        size = min(rows_per_device(chunk), -(-len(images) // jax.local_device_count()))
        extracted = Features(*mapped((), images, size=size, what="Extracting features"))
        if not np.isfinite(extracted.features).all():
            raise InputError("The feature network gives values that are not finite.")
        return extracted

    return extract_all
