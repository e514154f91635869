"""Random crops: many examples, such as textures, from a few large images."""

import numpy as np
from PIL import Image

from jaxgen.data.dataset import Dataset, make_dataset
from jaxgen.data.image_file import read_image
from jaxgen.data.image_options import ImageOptions, shape_of
from jaxgen.data.resize import resized_image
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath, expanded

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


def crops_of_picture(path: AnyPath, size: tuple[int, int], num: int, *, side: int, seed: int = 0) -> Dataset:
    """A data set of `num` random crops of a size [H, W], all at one scale, of one picture.

    The picture is resized first, so that its shorter side has `side` pixels.

    Raises:
      InputError: the path is no readable picture, or a crop is larger than the resized picture.
    """
    image = read_image(expanded(path))
    share = side / min(image.shape[:2])
    height, width = (max(side, round(share * whole)) for whole in image.shape[:2])
    if size[0] > height or size[1] > width:
        raise InputError(f"Crops of {shape_of(size)} are larger than {path}, which has {height}x{width} pixels here.")
    grey = image.shape[-1] == 1
    resized = Image.fromarray(image[..., 0] if grey else image).resize((width, height), Image.Resampling.LANCZOS)
    pixels, rng = np.asarray(resized).reshape(height, width, -1), np.random.default_rng(seed)
    tops, lefts = (rng.integers(whole - part + 1, size=num) for whole, part in zip((height, width), size, strict=True))
    crops = np.lib.stride_tricks.sliding_window_view(pixels, size, axis=(0, 1))[tops, lefts]
    return make_dataset(np.moveaxis(crops, 1, -1), None, source=f"{num:,} crops of {path}", split="all")
