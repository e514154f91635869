"""Equal images and near duplicates, found as by comparing every pair."""

import io

import numpy as np
import pytest
from PIL import Image

from jaxgen.data.duplicates import (
    DISTANCE,
    LEVELS,
    difference_hashes,
    equal_groups,
    is_grey,
    near_groups,
    pixel_digest,
    thumbnail,
)

RNG = np.random.default_rng(0)


def smooth(height=96, width=128):
    """A picture like a photo: noise of low frequency."""
    noise = Image.fromarray(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))


def as_jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(image, factor):
    height, width = (round(side * factor) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def groups(*images):
    return near_groups(np.stack([thumbnail(image) for image in images]))


def test_the_hash_has_a_bit_for_each_pixel_that_is_brighter_than_its_right_neighbour():
    falling = np.repeat(np.arange(250, 70, -20, np.uint8)[None, :9, None], 8, axis=0).repeat(3, axis=2)
    half = falling.copy()
    half[4:] = half[4:, ::-1]
    hashes = difference_hashes(np.stack([falling, falling[:, ::-1], half]))
    assert np.bitwise_count(hashes).tolist() == [64, 0, 32]
    assert hashes.dtype == np.uint64


def test_a_thumbnail_has_the_means_of_blocks():
    image = RNG.integers(0, 256, (8 * 5, 9 * 4, 3), dtype=np.uint8)
    means = image.reshape(8, 5, 9, 4, 3).mean((1, 3))
    assert np.abs(thumbnail(image) - means).max() <= 1  # Pillow rounds after each of the two directions
    np.testing.assert_array_equal(thumbnail(image[..., :1])[..., 2], thumbnail(image[..., [0, 0, 0]])[..., 1])


def test_copies_that_are_compressed_or_resized_are_found_and_other_pictures_are_not():
    originals = [smooth() for _ in range(12)]
    for change in (
        lambda image: as_jpeg(image, 75),
        lambda image: resized(image, 0.9),
        lambda image: resized(as_jpeg(image, 90), 1.2),
    ):
        copies = [change(image) for image in originals]
        assert groups(*originals, *copies) == [[index, index + 12] for index in range(12)]
    assert groups(*originals) == []


def test_a_mirrored_an_inverted_and_a_recoloured_picture_are_not_duplicates():
    image = smooth()
    assert groups(image, image[:, ::-1], image[::-1], 255 - image, image[..., [1, 2, 0]]) == []
    flat = [np.full((20, 20, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200), (200, 10, 10))]
    assert groups(*flat) == [[0, 2]]


@pytest.mark.parametrize("spread", [6, 12, 40])
def test_groups_are_those_of_comparing_every_pair(spread):
    """Each image that is not near an earlier first one is the first of a group with all that are near it and free."""
    base = np.repeat(RNG.integers(0, 200, (20, 8, 9, 3)), 12, axis=0)
    thumbnails = np.clip(base + RNG.integers(0, spread, base.shape), 0, 255).astype(np.uint8)
    thumbnails = thumbnails[RNG.permutation(len(thumbnails))]
    hashes = difference_hashes(thumbnails)
    bits = np.bitwise_count(hashes[:, None] ^ hashes)
    levels = np.abs(thumbnails[:, None].astype(int) - thumbnails).max((2, 3, 4))
    is_near, free, expected = (bits <= DISTANCE) & (levels <= LEVELS), set(range(len(thumbnails))), []
    for first in range(len(thumbnails)):
        if first in free:
            group = [index for index in sorted(free) if is_near[first, index]]
            free -= set(group)
            expected += [group] if len(group) > 1 else []
    assert near_groups(thumbnails) == expected
    kept = np.setdiff1d(np.arange(len(thumbnails)), [index for group in expected for index in group[1:]])
    assert not np.triu(is_near[np.ix_(kept, kept)], 1).any()


def test_equal_images_have_one_digest_whatever_their_channels():
    grey = RNG.integers(0, 256, (6, 8, 1), dtype=np.uint8)
    colour = grey.repeat(3, axis=2)
    other = colour.copy()
    other[3, 4, 2] += 1
    assert is_grey(grey)
    assert is_grey(colour)
    assert not is_grey(other)
    images = [other, grey, colour, grey.reshape(8, 6, 1), other.copy(), grey + 1]
    assert equal_groups(map(pixel_digest, images)) == [[0, 4], [1, 2]]
