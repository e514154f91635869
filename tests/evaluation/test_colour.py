"""Colourfulness against its definition."""

import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.evaluation import colourfulness


def test_it_follows_its_definition():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), np.uint8)
    for image, value in zip(images, colourfulness(images), strict=True):
        pixels = image.reshape(-1, 3).tolist()
        rg = [r - g for r, g, _ in pixels]
        yb = [0.5 * (r + g) - b for r, g, b in pixels]
        deviation = np.hypot(np.std(rg), np.std(yb))
        assert value == pytest.approx(deviation + 0.3 * np.hypot(np.mean(rg), np.mean(yb)))


def test_grey_has_none_and_one_colour_has_its_mean_alone():
    grey = np.random.default_rng(1).integers(0, 256, (1, 6, 6, 1), np.uint8).repeat(3, axis=-1)
    red = np.zeros((1, 6, 6, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    # All red: rg = 255, yb = 127.5, and no deviation.
    np.testing.assert_allclose(colourfulness(np.concatenate([grey, red])), [0, 0.3 * np.hypot(255, 127.5)], atol=1e-9)


def test_fainter_colours_are_less_colourful_in_proportion():
    colours = np.random.default_rng(2).integers(-20, 21, (2, 8, 8, 3)) * 4
    full, half = (colourfulness((128 + colours // by).astype(np.uint8)) for by in (1, 2))
    np.testing.assert_allclose(half, full / 2)


def test_images_without_three_channels_are_refused():
    with pytest.raises(InputError, match="Images of 1 channels; colourfulness takes three: red, green and blue"):
        colourfulness(np.zeros((1, 8, 8, 1), np.uint8))
