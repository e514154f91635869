"""Reconstruction measures of image pairs.

(1) MSE    mean (x - y)^2 over pixels and channels, with values from 0 to 255
(2) PSNR   10 log10(255^2 / MSE), in decibels
(3) SSIM   equations (1) of `jaxgen.evaluation.similarity`, at full resolution
"""

from typing import NamedTuple

import numpy as np

from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.network import chunk_of
from jaxgen.evaluation.require import require_images
from jaxgen.evaluation.similarity import structural_similarity
from jaxgen.io.errors import InputError

MEANINGS = {
    "mse": "mean squared error of values 0 to 255",
    "psnr": "dB, higher is nearer",
    "ssim": "1 for equal images",
}
"""How to read each measure."""


class Reconstruction(NamedTuple):
    """Means over pairs of images, with standard errors."""

    mse: Estimate
    psnr: Estimate
    ssim: Estimate


def compare_pairs(images: np.ndarray, others: np.ndarray) -> Reconstruction:
    """The measures of images uint8 [N, H, W, C] against as many others, pair by pair.

    For PSNR, equal images count as different by one level in one value, so that it is finite.

    Raises:
      InputError: the images are not uint8, not of one size, not equally many, or smaller than the window of (3).
    """
    require_images(images, others)
    if len(images) != len(others):
        raise InputError(f"{len(images)} and {len(others)} images; expected equally many.")
    errors = np.stack([np.square(x.astype(np.float64) - y).mean() for x, y in zip(images, others, strict=True)])
    least = 1 / images[0].size
    psnr = 10 * np.log10(255**2 / np.maximum(errors, least))
    size = chunk_of(images.shape[1:])
    chunks = [
        np.asarray(structural_similarity(images[at : at + size], others[at : at + size]))
        for at in range(0, len(images), size)
    ]
    return Reconstruction(mean_of(errors), mean_of(psnr), mean_of(np.concatenate(chunks)))
