"""Random crops: many examples, such as textures, from a few large images."""

import numpy as np

from jaxgen.data.image_options import ImageOptions
from jaxgen.data.resize import resized_image

LARGEST = 4.0
"""The largest crop has this many times the sides of an example."""


def random_crop(image: np.ndarray, name: object, options: ImageOptions, index: int) -> np.ndarray:
    """A random crop of an image uint8 [H, W, C], resized to the size of the options.

    The crop has their aspect ratio; the logarithm of its side is uniform from that of an example, or of the image where
    this is smaller, to `LARGEST` times as much, as far as the image has it.  Each `index` has its own crop.
    """
    assert options.size is not None
    rng = np.random.default_rng(index)
    height, width = options.size
    fitting = min(image.shape[0] / height, image.shape[1] / width)
    scale = min(fitting, 1.0) * max(1.0, min(fitting, LARGEST)) ** rng.random()
    sides = [max(1, min(int(scale * side), whole)) for side, whole in zip(options.size, image.shape[:2], strict=True)]
    top, left = (rng.integers(whole - side + 1) for side, whole in zip(sides, image.shape[:2], strict=True))
    return resized_image(image[top : top + sides[0], left : left + sides[1]], name, options)
