"""The main experiment from the command line."""

import json
import shutil
import signal
import time

import chex
import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec
from jaxgen.cli import main as jaxgen
from jaxgen.data import load
from jaxgen.training import RunDirectory, first_state
from jaxgen.training.checkpoint import Checkpoints
from tests.programs import ROOT, TINY, load_program, loaded, run_here, start, write_images

PATH = ROOT / "experiments" / "gan_mnist.py"
gan_mnist = load_program(PATH)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data") / "images.npz")


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of 120 steps that nothing interrupted."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run_here(monkeypatch, gan_mnist.main, *TINY, "--data", data, "--out", out, "--steps", 120) == 0
    return out


def final_state(out, data):
    config = gan_mnist.Config(width=2, hidden=8, latent_size=4, batch_size=8, seed=3)
    dataset = load(str(data))
    target = first_state(config, gan_mnist.build(config, dataset.spec))
    state = Checkpoints(out / "checkpoints").restore(target, print)
    return state._replace(key=jax.random.key_data(state.key))


def test_a_run_leaves_all_that_it_promises(finished):
    directory = RunDirectory(finished)
    record = json.loads(directory.config.read_text())
    assert record["experiment"] == "gan_mnist"
    assert record["config"]["width"] == 2
    assert set(record["data"]) == {
        *("source", "split", "images", "shape", "digest", "digest_as_read", "is_streamed", "class_names"),
    }
    assert {"jax", "flax", "optax", "orbax-checkpoint", "jaxgen"} <= record["sessions"][0]["versions"].keys()
    assert [row["step"] for row in directory.rows()] == [50, 60, 100, 120]
    assert sorted(path.name for path in directory.samples.iterdir()) == ["step_0000060.png", "step_0000120.png"]
    for picture in (directory.losses, directory.samples / "step_0000120.png"):
        Image.open(picture).verify()


def test_drawing_twice_gives_the_same_bytes_and_fewer_are_the_first(finished, tmp_path, monkeypatch):
    for name, num in [("a.npz", 70), ("b.npz", 70), ("c.npz", 3)]:
        assert (
            run_here(monkeypatch, jaxgen, "sample", finished, "--num", num, "--seed", 1, "--out", tmp_path / name) == 0
        )
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    images = loaded(tmp_path / "a.npz")["arr_0"]
    assert (images.shape, images.dtype) == ((70, 28, 28, 1), np.uint8)
    np.testing.assert_array_equal(loaded(tmp_path / "c.npz")["arr_0"], images[:3])


def test_a_grid_can_be_drawn(finished, tmp_path, monkeypatch):
    assert run_here(monkeypatch, jaxgen, "sample", finished, "--num", 9, "--out", tmp_path / "new" / "grid.png") == 0
    Image.open(tmp_path / "new" / "grid.png").verify()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--num", "0"), "--num 0: expected"),
        (("--seed", "-1"), "--seed -1: expected"),
        (("--out", "samples.jpg"), "ends in .npz or .png"),
        (("--out", "/proc/samples.npz"), "--out /proc/samples.npz cannot be written"),
        (("--num", "20000", "--out", "grid.png"), "at most 10,000 images"),
    ],
)
def test_mistakes_in_drawing_are_one_line_and_code_2(finished, monkeypatch, capsys, options, message):
    assert run_here(monkeypatch, jaxgen, "sample", finished, *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_run_in_two_halves_is_the_run_in_one(finished, data, tmp_path, monkeypatch, capsys):
    for steps in (70, 120):
        assert run_here(monkeypatch, gan_mnist.main, *TINY, "--data", data, "--out", tmp_path, "--steps", steps) == 0
    assert "from step 70" in capsys.readouterr().out
    chex.assert_trees_all_equal(final_state(tmp_path, data), final_state(finished, data))


def wait_for_rows(directory, process, rows):
    deadline = time.monotonic() + 120
    while len(directory.rows()) < rows:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.command
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_that_is_killed_goes_on_as_if_it_had_not_been(data, tmp_path, monkeypatch, number, code):
    arguments = (*TINY, "--data", data, "--out", tmp_path / "run", "--checkpoint-every", 50)
    directory = RunDirectory(tmp_path / "run")
    process = start(PATH, *arguments, "--steps", 100_000)
    wait_for_rows(directory, process, 3)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == code
    stopped = Checkpoints(directory.checkpoints).steps()[-1]
    steps = stopped + 130
    assert run_here(monkeypatch, gan_mnist.main, *arguments, "--steps", steps) == 0
    rows = [row["step"] for row in directory.rows()]
    ends = {*range(50, steps, 50), *range(60, steps, 60), steps}  # dispatches, and the grids of --sample-every 60
    assert rows == sorted(ends)
    sessions = json.loads(directory.config.read_text())["sessions"]
    assert [session["step"] for session in sessions] == [0, stopped]
    whole = (*TINY, "--data", data, "--out", tmp_path / "whole", "--steps", steps)
    assert run_here(monkeypatch, gan_mnist.main, *whole) == 0
    chex.assert_trees_all_equal(final_state(tmp_path / "run", data), final_state(tmp_path / "whole", data))


@pytest.mark.command
def test_help_explains_every_option():
    process = start(PATH, "--help")
    printed, _ = process.communicate()
    assert process.returncode == 0
    for option in (
        "--out",
        "--data",
        "--data-dir",
        "--steps",
        "--max-minutes",
        "--batch-size",
        "--seed",
        "--resume",
        "--no-resume",
    ):
        assert option in printed
    assert "Draw MNIST digits with a DCGAN" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", "0"), "--steps 0: expected at least 1"),
        (("--batch-size", "-3"), "--batch-size -3: expected at least 1"),
        (("--max-minutes", "nan"), "--max-minutes nan: expected a finite number above 0"),
        (("--seed", "-1"), "--seed -1: expected"),
        (("--batch-size", "65"), "--batch-size 65 is larger than the data: 64 images"),
        (("--width", "0"), "--width 0: expected at least 1"),
        (("--hidden", "-1"), "--hidden -1: expected at least 0"),
        (("--learning-rate", "-0.1"), "--learning-rate -0.1: expected a finite number above 0"),
        (("--data", "minst"), "--data minst is unknown"),
        (("--data", "mnist", "--data-dir", "/nowhere"), "--data-dir /nowhere is not a folder"),
        (("--data-dir", "/nowhere"), "--data-dir /nowhere goes with mnist"),
        (("--out", "/proc/run"), "--out /proc/run cannot be written"),
        (("--learning-rate", "inf"), "--learning-rate inf: expected"),
    ],
)
def test_mistakes_are_one_line_and_code_2_and_nothing_is_written(data, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert run_here(monkeypatch, gan_mnist.main, *TINY, "--data", data, *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("shape", "message"), [((30, 30, 1), "multiples of 4"), ((24, 24, 3), "from 28 to 128")])
def test_images_that_no_dcgan_draws_are_refused(tmp_path, monkeypatch, capsys, shape, message):
    data = write_images(tmp_path / "odd.npz", shape=shape)
    assert run_here(monkeypatch, gan_mnist.main, *TINY, "--data", data, "--out", tmp_path / "run") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_resuming_with_another_config_or_other_data_is_refused(finished, data, tmp_path, monkeypatch, capsys):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    arguments = (*TINY, "--data", data, "--out", finished)
    assert run_here(monkeypatch, gan_mnist.main, *arguments, "--width", 4) == 2
    assert "with width = 2, not 4" in capsys.readouterr().err
    # An option that is newer than the run differs only if its value is not the default.
    older = finished / "config.json"
    older.write_text(older.read_text().replace('"dtype": "float32",', ""))
    for option, message in {
        ("--width", 4): "with width = 2, not 4",
        ("--dtype", "bfloat16"): "with dtype = float32",
    }.items():
        assert run_here(monkeypatch, gan_mnist.main, *arguments, *option) == 2
        assert message in capsys.readouterr().err
    older.write_bytes(before[older])
    other = write_images(tmp_path / "other.npz", num=65)
    assert run_here(monkeypatch, gan_mnist.main, *arguments, "--data", other) == 2
    assert "on other data" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}


def test_resuming_with_another_algorithm_is_refused(finished, data, monkeypatch, capsys):
    monkeypatch.setattr(gan_mnist, "ema_warmup", lambda decay: 0.5)
    assert run_here(monkeypatch, gan_mnist.main, *TINY, "--data", data, "--out", finished) == 2
    assert "holds a run of another recipe" in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("--no-resume",)])
def test_a_run_that_is_being_written_is_left_alone(finished, data, monkeypatch, capsys, options):
    directory = RunDirectory(finished)
    directory.open()
    assert run_here(monkeypatch, gan_mnist.main, *TINY, "--data", data, "--out", finished, *options) == 2
    assert "is being written by another process" in capsys.readouterr().err
    directory.close()


def test_starting_over_in_colour_keeps_the_earlier_grey_run_beside(finished, tmp_path, monkeypatch):
    out = shutil.copytree(finished, tmp_path / "run")
    colour = write_images(tmp_path / "colour.npz", num=8, shape=(32, 32, 3))
    arguments = (*TINY, "--data", colour, "--out", out, "--steps", 2, "--no-resume", "--seed", 4)
    assert run_here(monkeypatch, gan_mnist.main, *arguments) == 0
    seeds = [json.loads((tmp_path / name / "config.json").read_text())["config"]["seed"] for name in ("run.1", "run")]
    assert seeds == [3, 4]
    with Image.open(out / "samples" / "step_0000002.png") as grid:
        assert grid.mode == "RGB"


@pytest.fixture
def of_format_1(finished, tmp_path):
    """A run that was written before run directories had a format."""
    out = shutil.copytree(finished, tmp_path / "run")
    record = json.loads((out / "config.json").read_text())
    del record["format"]
    (out / "config.json").write_text(json.dumps(record))
    return out


def test_a_run_of_an_earlier_format_is_not_resumed_and_can_be_drawn_from(of_format_1, data, monkeypatch, capsys):
    before = {path: path.read_bytes() for path in of_format_1.rglob("*") if path.is_file()}
    assert run_here(monkeypatch, gan_mnist.main, *TINY, "--data", data, "--out", of_format_1) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "holds a run of format 1; this jaxgen resumes format 2" in error
    assert error.count("\n") == 1
    assert before == {path: path.read_bytes() for path in of_format_1.rglob("*") if path.is_file()}
    out = of_format_1 / "drawn.npz"
    assert run_here(monkeypatch, jaxgen, "sample", of_format_1, "--num", 3, "--out", out) == 0
    assert loaded(out)["arr_0"].shape == (3, 28, 28, 1)


def test_the_file_is_short_enough_to_read():
    assert len(PATH.read_text().splitlines()) <= 150
    assert gan_mnist.build(gan_mnist.Config(), ImageSpec(28, 28, 1)).update.owns == (
        "discriminator",
        "generator",
        "generator_ema",
    )
