"""Checks of features, class probabilities and images before measures are computed."""

import numpy as np

from jaxgen.io.errors import InputError

LARGEST = float(np.finfo(np.float32).max)


def require_features(*sets: np.ndarray, least: int = 1) -> None:
    """Refuses sets of features [N, F], [M, F], ... that cannot be compared.

    Raises:
      InputError: a set is not of rank 2, has another F, an F of 0 or fewer than `least` members, or is not finite in
        float32.
    """
    for features in sets:
        if features.ndim != 2 or features.shape[1:] != sets[0].shape[1:]:
            shapes = " and ".join(str(one.shape) for one in sets)
            raise InputError(f"Features of shapes {shapes}; expected [N, F] and [M, F].")
        if not features.shape[1]:
            raise InputError(f"Features of shape {features.shape}; expected [N, F] with F > 0.")
        if len(features) < least:
            raise InputError(f"{len(features)} samples; expected at least {least}.")
        if not (np.abs(features) <= LARGEST).all():
            raise InputError("The features hold values that are not finite in float32.")


def require_probabilities(probabilities: np.ndarray) -> None:
    """Refuses arrays that are not class probabilities [N, K].

    Raises:
      InputError: the array is not of rank 2, is negative or not finite, or has rows that do not sum to 1.
    """
    if probabilities.ndim != 2 or not len(probabilities):
        raise InputError(f"Class probabilities of shape {probabilities.shape}; expected [N, K].")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all()):
        raise InputError("The class probabilities hold values that are negative or not finite.")
    if np.abs(probabilities.sum(axis=1) - 1).max() > 1e-3:
        raise InputError("The class probabilities of a sample do not sum to 1.")


def require_images(*sets: np.ndarray) -> None:
    """Refuses sets of images that are not uint8 [N, H, W, C] of one size.

    Raises:
      InputError: naming the dtype, the shape or the sizes.
    """
    for images in sets:
        if images.dtype != np.uint8:
            raise InputError(f"The images are {images.dtype}; expected uint8 from 0 to 255.")
        if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
            raise InputError(f"The images have shape {images.shape}; expected [N, H, W, C] with C = 1 or 3.")
        if images.shape[1:] != sets[0].shape[1:]:
            one, other = ("x".join(map(str, array.shape[1:])) for array in (sets[0], images))
            raise InputError(f"Images of one size are expected; got {one} and {other}.")
