"""Masks: black and white images that say which pixels of another image are meant."""

from pathlib import Path

import numpy as np

from jaxgen.data.image_file import read_image
from jaxgen.io.errors import InputError

GREYS_IN_MASK = 0.05
"""The largest share of a mask's pixels that may be in the middle half of the range."""


def read_mask(path: Path, size: tuple[int, int], *, of: str, meaning: str) -> np.ndarray:
    """A mask uint8 [H, W, 1] of 0 and 255: black or white, whichever the mean of a pixel's channels is nearer to.

    `of` says whose size [H, W] it must have, `meaning` what black and white mean.

    Raises:
      InputError: no readable image, another size, pixels that are neither black nor white, or of one kind alone.
    """
    image = read_image(path)
    if image.shape[:2] != size:
        given, expected = ("x".join(map(str, sides)) for sides in (image.shape[:2], size))
        raise InputError(f"--mask {path} is {given}; expected {expected}, the size of {of}.")
    grey = image.mean(2, keepdims=True)
    middle = ((grey >= 64) & (grey < 192)).mean()
    if middle > GREYS_IN_MASK:
        raise InputError(f"--mask {path}: {middle:.0%} of its pixels are neither black nor white: in a mask {meaning}.")
    white = grey >= 128
    if white.all() or not white.any():
        colour = "white" if white.all() else "black"
        raise InputError(f"--mask {path} is all {colour}: in a mask {meaning}; without --mask, all is as if white.")
    return np.where(white, np.uint8(255), np.uint8(0))
