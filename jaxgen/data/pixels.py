"""Arrays of images as people store them, to uint8 [N, H, W, C].

    layout      [N, H, W], [N, H, W, C] or [N, C, H, W] with C = 1 or 3
    bool        0 is black, 1 is white
    integers    from 0 to 255
    floats      from 0 to 1, or from -1 to 1 where one is negative: black to white

What could be read in two ways is refused.
"""

from collections.abc import Callable

import numpy as np

from jaxgen.io.errors import InputError

CHANNELS = (1, 3)
SLACK = 1e-3
"""Floats may leave their range by so much, as resized images do."""
CHUNK = 1_000
"""Images that are converted at a time, for the memory."""


def to_images(array: np.ndarray, source: str, announce: Callable[[str], None]) -> np.ndarray:
    """Images of another layout or dtype as uint8 [N, H, W, C]; announces what is assumed.

    Raises:
      InputError: the layout is ambiguous, or the values are out of range, ambiguous or no numbers.
    """
    array = _channels_last(array, source, announce)
    if array.dtype == np.uint8 or array.size == 0:
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind == "b":
        return np.where(array, np.uint8(255), np.uint8(0))
    if array.dtype.kind not in "iuf":
        raise InputError(f"{source}: the images are {array.dtype}; expected uint8 from 0 to 255.")
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind in "iu":
        return _from_integers(array, low, high, source)
    return _from_floats(array, low, high, source, announce)


def _channels_last(array: np.ndarray, source: str, announce: Callable[[str], None]) -> np.ndarray:
    shape = list(array.shape)
    if array.ndim == 3 and shape[2] in CHANNELS:
        raise InputError(
            f"{source}: {shape} may be one image [H, W, C] or many [N, H, W]: give it four axes, [N, H, W, C]."
        )
    if array.ndim == 3:
        return array[..., np.newaxis]
    if array.ndim != 4 or shape[1] not in CHANNELS:
        return array
    if shape[3] in CHANNELS:
        raise InputError(f"{source}: {shape} may be [N, H, W, C] or [N, C, H, W]: expected sides other than 1 and 3.")
    announce(f"{source}: the layout of {shape} is taken for [N, C, H, W]")
    return np.moveaxis(array, 1, -1)


def _from_integers(array: np.ndarray, low: float, high: float, source: str) -> np.ndarray:
    if low < 0 or high > 255:
        raise InputError(
            f"{source}: the images are {array.dtype} from {low:g} to {high:g}; expected 0 to 255: save them as uint8."
        )
    if high == 1:
        raise InputError(
            f"{source}: the images are {array.dtype} of 0 and 1 alone, where 1 may be white or the darkest grey: save"
            " them as bool or uint8."
        )
    return array.astype(np.uint8)


def _from_floats(
    array: np.ndarray, low: float, high: float, source: str, announce: Callable[[str], None]
) -> np.ndarray:
    if not (low >= -1 - SLACK and high <= 1 + SLACK):
        raise InputError(
            f"{source}: the images are {array.dtype} from {low:g} to {high:g}; expected [0, 1] or [-1, 1]: save them as"
            " uint8 from 0 to 255."
        )
    signed = low < -SLACK
    announce(f"{source}: the images are floats, taken for {'[-1, 1]' if signed else '[0, 1]'} (black to white)")
    images = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), CHUNK):
        part = array[start : start + CHUNK].astype(np.float32)
        images[start : start + CHUNK] = np.rint(255 * np.clip((part + 1) / 2 if signed else part, 0, 1))
    return images
