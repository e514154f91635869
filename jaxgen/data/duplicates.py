"""Images that are equal, and images that are nearly so.

Equal images have the same pixels.  Near duplicates, such as a picture that was compressed or resized, have a similar
thumbnail of 9x8 pixels, each the mean of a block, in two respects:

    (1) difference hash   a bit for each two neighbours in a row, 64 in all: whether the left one is brighter; at most
                          DISTANCE bits differ
    (2) colours           no channel of any pixel differs by more than LEVELS

(1) is by Neal Krawetz, "Kind of like that" (2013), https://www.hackerfactor.com/blog/index.php?/archives/529.  It does
not see colours and has few bits for a drawing on a flat background, hence (2).
"""

from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256

import numpy as np
from PIL import Image

THUMBNAIL = (8, 9)
DISTANCE, LEVELS = 4, 16
"""The most bits and levels of 255 that near duplicates differ by.  Chosen on photographs, clip art and two sets of
emoji: 99% of copies saved again as JPEG of quality 90 are found, and pairs that are found are alike to the eye.  Simple
drawings, such as digits 1, may be alike without being copies."""
MARGIN = 2
"""Levels by which the left pixel must be brighter: compression makes such differences in flat areas."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def pixel_digest(image: np.ndarray) -> bytes:
    """The SHA-256 of the size and the pixels of an image [H, W, C]; grey images are equal whatever their channels."""
    pixels = image[..., :1] if is_grey(image) else image
    digest = sha256(str(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def is_grey(image: np.ndarray) -> bool:
    """Whether the channels of an image [H, W, C] are equal."""
    return bool((image[..., 1:] == image[..., :1]).all())


def thumbnail(image: np.ndarray) -> np.ndarray:
    """The means of 8x9 blocks of an image uint8 [H, W, C], as uint8 [8, 9, 3]."""
    height, width = THUMBNAIL
    small = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).convert("RGB")
    return np.asarray(small.resize((width, height), Image.Resampling.BOX))


def difference_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """The hashes (1) of thumbnails [N, 8, 9, 3], as uint64 [N]."""
    grey = thumbnails @ LUMA
    bits = grey[:, :, :-1] > grey[:, :, 1:] + MARGIN
    return np.packbits(bits.reshape(len(bits), 64), axis=1).view(np.uint64)[:, 0]


def equal_groups(digests: Iterable[bytes]) -> list[list[int]]:
    """The indices of equal images, a group for each two or more, in their order."""
    groups = defaultdict(list)
    for index, digest in enumerate(digests):
        groups[digest].append(index)
    return [group for group in groups.values() if len(group) > 1]


def near_groups(thumbnails: np.ndarray) -> list[list[int]]:
    """The indices of near duplicates, from thumbnails [N, 8, 9, 3]: each is near the first of its group.

    If the first of each group is kept, no two images that are kept are near.  An image is compared with those of
    similar mean colour alone, which (2) implies.
    """
    means = thumbnails.mean((1, 2, 3), dtype=np.float64)
    order = np.argsort(means, kind="stable")
    hashes, thumbnails = difference_hashes(thumbnails)[order], thumbnails[order].astype(np.int16)
    place = np.argsort(order)  # of each image in that order
    bounds = np.searchsorted(means[order], [means - LEVELS - 0.01, means + LEVELS + 0.01])  # rounding stays inside
    is_free = np.ones(len(means), bool)
    groups = []
    for index, (here, first, last) in enumerate(zip(place, *bounds, strict=True)):
        if not is_free[here]:
            continue
        is_near = np.bitwise_count(hashes[first:last] ^ hashes[here]) <= DISTANCE
        near = first + np.flatnonzero(is_near & is_free[first:last])
        near = near[np.abs(thumbnails[near] - thumbnails[here]).max((1, 2, 3)) <= LEVELS]
        is_free[near] = False
        if len(near) > 1:
            groups.append([index, *sorted(other for other in order[near].tolist() if other != index)])
    return groups
