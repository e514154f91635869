"""Measures of restored held-out images."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.evaluation import colourfulness, compare_pairs
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
