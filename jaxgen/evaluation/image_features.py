"""What networks may be told of an image, as numbers float32 [N, F].

    palette      the six colours that say most of it, by median cut, most frequent first: red, green and blue from -1
                 to 1 and the share of the pixels, [N, 24]
    edges        how strongly it changes from place to place: the largest Sobel gradient of each two by two pixels,
                 1 for a step from black to white, [N, H/2 W/2]
    embedding    what a packaged classifier sees: [N, 64] of digits 28x28x1, [N, 128] of images 32x32x3

With `jaxgen.core.condition.features` they are a condition, and images drawn for those of a given image are "more like this".
"""

from typing import Literal, get_args

import numpy as np
from PIL import Image
from scipy import ndimage

from jaxgen.core.image import ImageSpec
from jaxgen.data import Dataset, shrink, with_field
from jaxgen.evaluation import packaged_network
from jaxgen.io.errors import InputError

Kind = Literal["palette", "edges", "embedding"]

COLOURS, SIDE = 6, 32


def describe(images: np.ndarray, kind: Kind) -> np.ndarray:
    """The features float32 [N, F] of images uint8 [N, H, W, C].

    Raises:
      InputError: the kind is not of such images, or is none.
    """
    if kind == "palette":
        return np.stack([_palette(image) for image in images])
    if kind == "edges":
        return _edges(images)
    if kind == "embedding":
        network = packaged_network(ImageSpec(*images.shape[1:]))
        if network is None:
            given = "x".join(map(str, images.shape[1:]))
            raise InputError(f"--kind embedding is of images of 28x28x1 or 32x32x3; these are {given}.")
        return np.asarray(network.extract(images).features)
    raise InputError(f"No features are called {kind!r}: expected {', '.join(get_args(Kind))}.")


def described(dataset: Dataset, kind: Kind) -> Dataset:
    """The data with their features; larger squares become squares of 32 pixels first.

    Raises:
      InputError: squares of no multiple of that, or the kind is not of such images.
    """
    height, width, _ = dataset.spec
    dataset = shrink(dataset, SIDE) if height == width > SIDE else dataset
    return with_field(dataset, features=describe(dataset.arrays["image"], kind))


def likeness(asked: np.ndarray, drawn: np.ndarray, *, seed: int = 0) -> float:
    """How far features [N, F] of drawn images are from those asked for, over how far those asked for are apart.

    0 is what was asked for, and 1 no nearer to it than another image is.

    Raises:
      InputError: all features that were asked for are the same.
    """
    order = np.random.default_rng(seed).permutation(len(asked))
    apart = np.linalg.norm(asked[order] - asked[np.roll(order, 1)], axis=1).mean()
    if apart == 0:
        raise InputError(f"{len(asked)} images whose features are all alike: none can be nearer than another.")
    return float(np.linalg.norm(drawn - asked, axis=1).mean() / apart)


def _palette(image: np.ndarray) -> np.ndarray:
    """Of one image [H, W, C]; colours that it has not are 0 with a share of 0."""
    picture = Image.fromarray(np.repeat(image, 3 // image.shape[-1], axis=2))
    few = picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours = np.asarray(few.getpalette(), np.float32).reshape(-1, 3) / 127.5 - 1
    used, counts = np.unique(np.asarray(few), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    palette = np.zeros((COLOURS, 4), np.float32)
    palette[: len(used), :3] = colours[used[order]]
    palette[: len(used), 3] = counts[order] / counts.sum()
    return palette.ravel()


def _edges(images: np.ndarray) -> np.ndarray:
    grey = images.mean(axis=-1) / 255
    slopes = np.hypot(_slope(grey, 1, 2), _slope(grey, 2, 1))
    count, height, width = slopes.shape
    halves = slopes[:, : height // 2 * 2, : width // 2 * 2].reshape(count, height // 2, 2, width // 2, 2)
    return halves.max((2, 4)).reshape(count, -1).astype(np.float32)


def _slope(grey: np.ndarray, along: int, across: int) -> np.ndarray:
    """Sobel's gradient of images [N, H, W] along an axis; SciPy's own would mix the images of a batch."""
    smooth = ndimage.correlate1d(grey, [0.25, 0.5, 0.25], axis=across, mode="nearest")
    return ndimage.correlate1d(smooth, [-1.0, 0.0, 1.0], axis=along, mode="nearest")
