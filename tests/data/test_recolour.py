"""Images in other colours."""

from dataclasses import replace

import numpy as np

from jaxgen.data import make_dataset, recoloured
from jaxgen.data.recolour import recolour

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3, 3), np.uint8)
ONE = np.ones(5)


def test_a_third_of_a_turn_moves_each_channel_into_the_next():
    turned = recolour(IMAGES, ONE * 2 * np.pi / 3, ONE, ONE)
    np.testing.assert_array_equal(turned, IMAGES[..., [2, 0, 1]])


def test_greys_stay_grey_and_without_a_power_the_same():
    grey = np.repeat(IMAGES[..., :1], 3, axis=-1)
    grey[0, 0, :2] = [[0], [255]]
    angle = np.linspace(0, 6, 5)
    np.testing.assert_array_equal(recolour(grey, angle, 1.4 * ONE, ONE), grey)
    darker = recolour(grey, angle, 1.4 * ONE, 1.5 * ONE)
    np.testing.assert_array_equal(darker, np.round(255 * (grey / 255) ** 1.5))


def test_copies_have_other_colours_and_the_same_captions():
    dataset = make_dataset(IMAGES, np.arange(5), captions=tuple("abcde"), source="", split="train")
    several = recoloured(dataset, 2)
    np.testing.assert_array_equal(several.arrays["image"][:5], IMAGES)
    for copy in np.split(several.arrays["image"], 3)[1:]:
        assert (np.abs(copy.astype(int) - IMAGES).mean((1, 2, 3)) > 1).all()
    np.testing.assert_array_equal(several.arrays["label"], np.tile(np.arange(5), 3))
    assert several.captions == 3 * dataset.captions
    grey = replace(dataset, arrays={"image": IMAGES[..., :1]})
    assert recoloured(grey, 2) is grey
