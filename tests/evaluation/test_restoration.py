"""Measures of restored held-out images."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.evaluation import colourfulness, compare_pairs, digit_network, frechet_distance
from jaxgen.evaluation.restoration import report_restoration


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_is_measured_in_colour_images_and_their_truth(tmp_path, capsys, channels):
    truth, made = np.random.default_rng(0).integers(0, 256, (2, 40, 12, 12, channels), np.uint8)
    report_restoration(tmp_path, jnp.zeros(truth.shape), {"network": made}, truth)
    results = json.loads((tmp_path / "held_out.json").read_text())
    assert results["network"]["psnr"]["value"] == pytest.approx(compare_pairs(made, truth).psnr.value)
    printed = capsys.readouterr().out
    assert ("colourfulness" in printed) == ("truth" in results) == (channels == 3)
    assert ("grey," in printed.split()) == (channels == 3)  # the meaning, "0 for grey, ...", perhaps over several lines
    if channels == 3:
        assert results["network"]["colourfulness"]["value"] == pytest.approx(colourfulness(made).mean())
        assert results["truth"]["colourfulness"]["value"] == pytest.approx(colourfulness(truth).mean())


@pytest.mark.parametrize("num", [64, 65])
def test_methods_have_a_frechet_distance_where_the_images_are_more_than_the_features(num, tmp_path):
    truth, made = np.random.default_rng(0).integers(0, 256, (2, num, 28, 28, 1), np.uint8)
    report_restoration(tmp_path, jnp.zeros(truth.shape), {"network": made, "truth again": truth}, truth)
    results = json.loads((tmp_path / "held_out.json").read_text())
    assert ("Fréchet distance" in results["network"]) == (num > 64)
    if num > 64:
        expected = frechet_distance(*(digit_network().extract(images).features for images in (made, truth)))
        assert results["network"]["Fréchet distance"]["value"] == pytest.approx(expected)
        assert results["truth again"]["Fréchet distance"]["value"] == 0
