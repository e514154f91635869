"""The exact likelihood benchmark from the command line, at tiny settings."""

import json

import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.training import RunDirectory, best_networks
from tests.prepared import write_binarized
from tests.programs import ROOT, load_program, run_here

program = load_program(ROOT / "experiments" / "pixelcnn_binarized_mnist.py")


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Runs the experiment here; returns its exit code."""
    write_binarized(tmp_path)

    def run(*options):
        small = "--data-dir", tmp_path, "--out", tmp_path / "run", "--width", 2, "--batch-size", 4
        return run_here(monkeypatch, program.main, *small, *options)

    return run


@pytest.mark.long
def test_the_number_is_that_of_the_best_state_on_the_test_digits(train, tmp_path, capsys):
    options = ("--dilations", 1, "--steps", 20, "--evaluate-every", 10, "--sample-every", 20, "--log-every", 10)
    assert train(*options) == 0
    results = json.loads((tmp_path / "run" / "test.json").read_text())["test"]
    nll, printed = results["NLL, nats"], capsys.readouterr().out
    assert f"{nll['value']:.4g} ± {nll['standard_error']:.2g}" in printed
    for name, nats in nll.items():
        assert results["bits/dim"][name] == pytest.approx(nats / 784 / np.log(2))
    config = program.Config(width=2, dilations=(1,), batch_size=4, data_dir=tmp_path)
    test = load("binarized_mnist", split="test", data_dir=tmp_path)
    networks = best_networks(config, program.build, RunDirectory(tmp_path / "run"), test.spec)
    again = program.measure(program.make_model(config, test.spec), networks, test.arrays["image"])
    assert nll["value"] == pytest.approx(again.mean(), rel=1e-5)
    rows = {row["step"]: row["evaluation/validation_nll"] for row in RunDirectory(tmp_path / "run").rows()}
    best = json.loads((tmp_path / "run" / "best" / "scores.json").read_text())
    assert best["step"] == min(rows, key=rows.get)
    assert (tmp_path / "run" / "completions.png").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--temperature", 0), "--temperature 0.0: expected a finite number above 0"),
        (("--width", 0), "--width 0: expected at least 1"),
        (("--data-dir", "/nowhere"), "--data-dir /nowhere is not a folder"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(train, tmp_path, capsys, options, message):
    assert train(*options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
