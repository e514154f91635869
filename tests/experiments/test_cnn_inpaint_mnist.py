"""An image-to-image experiment from the command line, at tiny settings."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec, to_uint8
from jaxgen.cli import main as jaxgen
from jaxgen.evaluation import compare_pairs, degraded, images_to_test
from jaxgen.export import ExportInfo, export_denoiser, load_restorer, load_sampler
from jaxgen.models import labels
from jaxgen.training import RunDirectory
from tests.prepared import write_mnist
from tests.programs import ROOT, load_program, loaded, run_here, write_images

program = load_program(ROOT / "experiments" / "cnn_inpaint_mnist.py")
TINY = ("--batch-size", 4, "--width", 2, "--log-every", 10)
TRUTH = np.random.default_rng(1).integers(0, 256, (40, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_mnist(folder, train=TRUTH[::-1], test=TRUTH)
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "finished"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run_here(monkeypatch, program.main, *TINY, "--data-dir", data, "--out", out, "--steps", 30) == 0
    return out


def test_the_table_is_of_what_the_exported_network_makes_of_the_test_images(finished):
    results = json.loads((finished / "held_out.json").read_text())
    assert list(results) == ["network", "mean fill", "mean of the test images", "images"]
    truth = images_to_test(TRUTH[..., None], 30, 40)
    made = load_sampler(finished / "sampler").draw(0, 40, fields={"image": truth})
    measured = compare_pairs(made, truth)
    assert results["network"]["psnr"]["value"] == pytest.approx(measured.psnr.value)
    assert results["network"]["ssim"]["value"] == pytest.approx(measured.ssim.value)
    np.testing.assert_array_equal(load_restorer(finished / "restorer").restore(truth), truth)  # nothing is hidden
    with Image.open(finished / "held_out.png") as picture:
        assert picture.size == (2 * (12 * 30 + 2), 2 * (9 * 30 + 2))


def test_a_flow_is_measured_beside_the_network_and_refused_before_training_if_it_needs_labels(
    finished, data, tmp_path, monkeypatch, capsys
):
    for name, conditions in (("flow", {}), ("labels", labels(10))):
        denoiser = export_denoiser(lambda networks: lambda x, sigma, *condition: 0 * x - 1)  # the image is black
        denoiser(tmp_path / name / "denoiser", {}, ExportInfo(ImageSpec(28, 28, 1), conditions))
    options = (*TINY, "--data-dir", data, "--steps", 30, "--flow")
    assert run_here(monkeypatch, program.main, *options, tmp_path / "labels", "--out", tmp_path / "none") == 2
    assert "is conditioned on label" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    # Of a finished run only the test is done again.
    again = shutil.copytree(finished, tmp_path / "again")
    assert run_here(monkeypatch, program.main, *options, tmp_path / "flow", "--out", again) == 0
    results = json.loads((again / "held_out.json").read_text())
    inputs = degraded(program.TASKS["inpaint"][0], truth := images_to_test(TRUTH[..., None], 30, 40), 0)
    black = to_uint8(program.TASKS["inpaint"][0].complete(inputs, -jnp.ones((40, 28, 28, 1))))
    assert results["flow"]["psnr"]["value"] == pytest.approx(compare_pairs(np.asarray(black), truth).psnr.value)


@pytest.mark.long
def test_interrupting_and_resuming_changes_no_bit(finished, data, tmp_path, monkeypatch):
    for steps in (10, 30):
        arguments = (*TINY, "--data-dir", data, "--out", tmp_path, "--steps", steps)
        assert run_here(monkeypatch, program.main, *arguments) == 0
    assert (tmp_path / "held_out.json").read_text() == (finished / "held_out.json").read_text()
    last = [RunDirectory(folder).rows()[-1]["cnn/loss"] for folder in (tmp_path, finished)]
    assert last[0] == last[1]


def test_images_of_ones_own_are_restored(finished, tmp_path, monkeypatch):
    own = write_images(tmp_path / "own.npz", num=3)
    arguments = ("--images", own, "--num", 3, "--out", tmp_path / "made.npz")
    assert run_here(monkeypatch, jaxgen, "sample", finished, *arguments) == 0
    made, images = loaded(tmp_path / "made.npz")["arr_0"], loaded(own)["image"]
    assert 0.5 < (made == images).mean() < 1  # what is known is kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--images is missing"),
        (("--images", "/nowhere"), "/nowhere is unknown"),
        (("--features", "/nowhere"), "is not conditioned on features"),
        (("--images", "wide.npz"), "are 28x30x1; "),
    ],
)
def test_images_that_cannot_be_restored_are_refused(finished, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "wide.npz", num=2, shape=(28, 30, 1))
    assert run_here(monkeypatch, jaxgen, "sample", finished, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--width", 0), "--width 0: expected at least 1"),
        (("--data-dir", "/nowhere"), "/nowhere is not a folder"),
        (("--flow", "/nowhere", "--test-images", 0), "--flow /nowhere restores test images; --test-images is 0"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(data, tmp_path, monkeypatch, capsys, options, message):
    arguments = (*TINY, "--data-dir", data, "--out", tmp_path / "run", *options)
    assert run_here(monkeypatch, program.main, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
