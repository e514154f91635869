"""The option --augment: what it reaches, what it leaves alone, and what it refuses."""

from dataclasses import replace

import chex
import numpy as np
import pytest
from PIL import Image

from jaxgen.core.condition import features
from jaxgen.data import load
from jaxgen.training import run
from tests.programs import raw, run_here, write_images
from tests.training import toy_experiment
from tests.training.toy_experiment import saved

CHOICES = ("mirror", "crop", "shift", "turn", "colour")


@pytest.fixture
def toy(data, tmp_path, monkeypatch):
    """Runs the toy experiment here; returns its exit code."""

    def run(*options, out=tmp_path / "run", data=data):
        pace = ("--log-every", 5, "--sample-every", 20, "--checkpoint-every", 20)
        return run_here(monkeypatch, toy_experiment.main, "--data", data, "--out", out, *pace, *options)

    return run


@pytest.mark.parametrize("choice", CHOICES)
def test_each_choice_trains_other_networks(toy, data, tmp_path, choice):
    for options, out in (((), "plain"), (("--augment", choice), "augmented")):
        assert toy("--steps", 5, *options, out=tmp_path / out) == 0
    plain, augmented = (saved(tmp_path / name, data).networks["generator"] for name in ("plain", "augmented"))
    assert not np.array_equal(plain["params"]["w"], augmented["params"]["w"])


def test_stopping_and_going_on_changes_no_bit(toy, data, tmp_path):
    options = ("--augment", *CHOICES)
    for steps in (15, 30):
        assert toy("--steps", steps, *options) == 0
    assert toy("--steps", 30, *options, out=tmp_path / "whole") == 0
    chex.assert_trees_all_equal(raw(saved(tmp_path / "run", data)), raw(saved(tmp_path / "whole", data)))


def test_pictures_are_of_images_as_they_are(data, tmp_path):
    def build(config, spec):
        recipe = toy_experiment.build(config, spec)
        return recipe._replace(pictures=lambda _, batch: {"examples": batch["image"][None]})

    config = toy_experiment.Config(data=str(data), out=tmp_path / "run", augment=CHOICES, steps=1, log_every=1)
    for name, one in (("plain", replace(config, augment=())), ("augmented", config)):
        run(replace(one, out=tmp_path / name), build, name="toy")
    plain, augmented = (np.asarray(Image.open(tmp_path / name / "examples.png")) for name in ("plain", "augmented"))
    np.testing.assert_array_equal(augmented, plain)


def require_line(capsys, message):
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_only_squares_are_turned(toy, tmp_path, capsys):
    wide = write_images(tmp_path / "wide.npz", shape=(6, 8, 1))
    assert toy("--augment", "mirror", "turn", data=wide) == 2
    require_line(capsys, "--augment mirror turn: turn is for square images; these are 6x8")
    assert not (tmp_path / "run").exists()


def test_features_of_an_image_are_not_those_of_a_changed_one(data, tmp_path):
    def build(config, spec):
        recipe = toy_experiment.build(config, spec)
        return recipe._replace(sampler=replace(recipe.sampler, conditions=features(3)))

    images = load(str(data)).arrays["image"]
    examples = [{"image": image, "features": np.ones(3, np.float32)} for image in images]
    config = toy_experiment.Config(out=tmp_path / "run", augment=("mirror",))
    with pytest.raises(ValueError, match="--augment mirror: the model is conditioned on features"):
        run(config, build, name="toy", data=examples)
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_go_on_with_another_augmentation(toy, capsys):
    assert toy("--steps", 5) == 0
    assert toy("--steps", 10, "--augment", "mirror") == 2
    require_line(capsys, "holds a run with augment = [], not ['mirror']")
