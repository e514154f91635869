"""Features float32 [N, F] of images that a model can be conditioned on.

    palette      six colours by median cut, the most frequent first: red, green and blue in [-1, 1] and the share of the
                 pixels, [N, 24]
    edges        the largest Sobel gradient in each block of 2x2 pixels, 1 for a step from black to white, [N, H/2 W/2]
    embedding    the features of a packaged classifier: [N, 64] of images 28x28x1, [N, 128] of all others, which it
                 resizes to 32x32x3

With the condition `features(F)`, images drawn for the features of an image are variations of it.
"""

from typing import Literal, get_args

import numpy as np
from PIL import Image

from jaxgen.core.image import ImageSpec
from jaxgen.data.dataset import Dataset, shrink, shrink_images, with_field
from jaxgen.data.image_file import with_channels
from jaxgen.evaluation.classifiers import packaged_network
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.require import require_features
from jaxgen.io.errors import InputError

Kind = Literal["palette", "edges", "embedding"]

COLOURS, SIDE = 6, 32
"""Colours of a palette, and the side in pixels that larger squares are shrunk to."""


def describe(images: np.ndarray, kind: Kind) -> np.ndarray:
    """The features float32 [N, F] of images uint8 [N, H, W, C].

    Raises:
      InputError: the kind is unknown.
    """
    if kind == "palette":
        return np.stack([_palette(image) for image in images])
    if kind == "edges":
        return _edges(images)
    if kind == "embedding":
        return packaged_network(ImageSpec(*images.shape[1:])).extract(images).features
    raise InputError(f"No features are called {kind!r}: expected {', '.join(get_args(Kind))}.")


def describe_shrunk(images: np.ndarray, kind: Kind) -> np.ndarray:
    """The features float32 [N, F] of images uint8 [N, H, W, C], of which larger squares are first shrunk to 32x32.

    Raises:
      InputError: the kind is unknown, or a larger square's side is not a multiple of 32.
    """
    height, width = images.shape[1:3]
    return describe(shrink_images(images, SIDE, f"{kind} of images") if height == width > SIDE else images, kind)


def with_features(dataset: Dataset, kind: Kind) -> Dataset:
    """The data set with `features` float32 [N, F] of its images; larger squares are shrunk to 32x32 first.

    Raises:
      InputError: a larger square's side is not a multiple of 32.
    """
    height, width, _ = dataset.spec
    dataset = shrink(dataset, SIDE) if height == width > SIDE else dataset
    return with_field(dataset, features=describe(dataset.arrays["image"], kind))


def relative_distance(target: np.ndarray, drawn: np.ndarray, *, kind: Kind | None = None, seed: int = 0) -> float:
    """The mean distance of drawn images' features [N, F] to the features [N, F] that they were drawn for.

    It is relative to the mean distance between the features of different images: 0 for the target's own features, and 1
    on average for those of other images.  Palettes are compared by the earth mover's distance of their colours, which
    their order does not change: Rubner, Tomasi and Guibas (2000), https://doi.org/10.1023/A:1026543900054; all other
    features by the Euclidean distance.

    Raises:
      InputError: the features cannot be compared one by one, or all target features are equal.
    """
    require_features(target, drawn)
    if len(target) != len(drawn):
        raise InputError(f"{len(target)} and {len(drawn)} features; expected equally many.")
    order = content_order(target)[np.random.default_rng(seed).permutation(len(target))]
    distances = _palette_distances if kind == "palette" else _euclidean_distances
    apart = distances(target[order], target[np.roll(order, 1)]).mean()
    if apart == 0:
        raise InputError(f"The features of all {len(target)} images are equal; expected some that differ.")
    return float(distances(drawn, target).mean() / apart)


def _euclidean_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.linalg.norm(some - others, axis=1)


def _palette_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.array([_palette_distance(*pair) for pair in zip(some, others, strict=True)])


def _palette(image: np.ndarray) -> np.ndarray:
    """The palette [24] of one image [H, W, C]; an image of fewer colours has zeros at the end."""
    picture = Image.fromarray(with_channels(image, 3))
    few = picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours = np.asarray(few.getpalette(), np.float32).reshape(-1, 3) / 127.5 - 1
    used, counts = np.unique(np.asarray(few), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    palette = np.zeros((COLOURS, 4), np.float32)
    palette[: len(used), :3] = colours[used[order]]
    palette[: len(used), 3] = counts[order] / counts.sum()
    return palette.ravel()


def _palette_distance(one: np.ndarray, other: np.ndarray) -> float:
    """The earth mover's distance of two palettes [24]: the least mean distance of colours in any pairing of pixels."""
    from scipy.optimize import linprog

    (colours, shares), (others, wanted) = ((p.reshape(-1, 4)[:, :3], p.reshape(-1, 4)[:, 3]) for p in (one, other))
    costs = np.linalg.norm(colours[:, None] - others, axis=-1)
    rows, columns = np.kron(np.eye(len(shares)), np.ones(len(wanted))), np.tile(np.eye(len(wanted)), len(shares))
    masses = np.concatenate([shares / shares.sum(), wanted / wanted.sum()])
    return linprog(costs.ravel(), A_eq=np.concatenate([rows, columns]), b_eq=masses).fun


def _edges(images: np.ndarray) -> np.ndarray:
    grey = images.mean(axis=-1) / 255
    slopes = np.hypot(_slope(grey, 1, 2), _slope(grey, 2, 1))
    count, height, width = slopes.shape
    halves = slopes[:, : height // 2 * 2, : width // 2 * 2].reshape(count, height // 2, 2, width // 2, 2)
    return halves.max((2, 4)).reshape(count, -1).astype(np.float32)


def _slope(grey: np.ndarray, along: int, across: int) -> np.ndarray:
    """The Sobel gradient of images [N, H, W] along an axis; SciPy's own would smooth across the batch."""
    from scipy import ndimage

    smooth = ndimage.correlate1d(grey, [0.25, 0.5, 0.25], axis=across, mode="nearest")
    return ndimage.correlate1d(smooth, [-1.0, 0.0, 1.0], axis=along, mode="nearest")
