"""Colourfulness of images.

With means and standard deviations over an image's pixels,

    (1) rg = R - G,   yb = (R + G) / 2 - B
        M = sqrt(std(rg)^2 + std(yb)^2) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2)

Hasler and Süsstrunk (2003), "Measuring colourfulness in natural images", https://doi.org/10.1117/12.477378; fitted to
people's ratings of photographs.  The colourisation of least expected squared error is nearly grey, so that PSNR alone
does not reward colour.
"""

import numpy as np

from jaxgen.evaluation.require import require_images
from jaxgen.io.errors import InputError


def colourfulness(images: np.ndarray) -> np.ndarray:
    """The colourfulness M float64 [N] of images uint8 [N, H, W, 3], (1).

    It is 0 for grey images, and 34 on average for the test images of CIFAR-10.

    Raises:
      InputError: the images are not uint8, or not of three channels.
    """
    require_images(images)
    if images.shape[-1] != 3:
        raise InputError(f"Images of {images.shape[-1]} channels; colourfulness takes three: red, green and blue.")
    return np.array([_colourfulness(image) for image in images])


def _colourfulness(image: np.ndarray) -> float:
    red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
    opposed = np.stack([red - green, (red + green) / 2 - blue])
    return float(np.sqrt(opposed.var(axis=(1, 2)).sum()) + 0.3 * np.linalg.norm(opposed.mean(axis=(1, 2))))
