"""The likelihood benchmark from the command line, at tiny settings."""

import contextlib
import io
import json
import shutil

import chex
import jax
import pytest

from jaxgen.data import load
from jaxgen.evaluation import negative_log_likelihood
from jaxgen.models import ema_networks, importance_weights
from jaxgen.training import RunDirectory, best_networks
from tests.prepared import write_binarized
from tests.programs import ROOT, load_program, run_here

program = load_program(ROOT / "experiments" / "vae_binarized_mnist.py")
TINY = ("--batch-size", 8, "--latent-size", 3, "--evaluate-every", 20, "--test-samples", 6, "--log-every", 10)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_binarized(folder)
    return folder


@pytest.fixture
def train(data, tmp_path, monkeypatch):
    """Runs the experiment here; returns its exit code."""

    def run(*options, out=tmp_path / "run"):
        return run_here(monkeypatch, program.main, *TINY, "--data-dir", data, "--out", out, *options)

    return run


MANY = ("--samples", 12, "--backward", 3, "--pseudo-inputs", 2)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """The folder of a run of 60 steps with several samples, and what it printed."""
    out, printed = tmp_path_factory.mktemp("finished") / "run", io.StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.redirect_stdout(printed):
        arguments = (*TINY, "--data-dir", data, "--out", out, "--steps", 60, *MANY)
        assert run_here(monkeypatch, program.main, *arguments) == 0
    return out, printed.getvalue()


def require_number_of_best(out, printed, data, k, **settings):
    nll = json.loads((out / "test.json").read_text())["test"]["NLL, nats"]
    assert f"{nll['value']:.4g} ± {nll['standard_error']:.2g}" in printed
    rows = RunDirectory(out).rows()
    scores = {row["step"]: row[f"evaluation/validation_nll_{k}"] for row in rows if row["step"] % 20 == 0}
    assert list(scores) == [20, 40, 60]
    best = json.loads((out / "best" / "scores.json").read_text())
    assert best["step"] == min(scores, key=scores.get)
    config = program.Config(batch_size=8, latent_size=3, data_dir=data, **settings)
    test = load("binarized_mnist", split="test", data_dir=data)
    networks = ema_networks(best_networks(config, program.build, RunDirectory(out), test.spec))
    weigh = importance_weights(program.make_model(config, test.spec), networks)
    again = negative_log_likelihood(weigh, test.arrays["image"], samples=6)
    assert nll["value"] == pytest.approx(again.value, rel=1e-5)
    assert (out / "reconstructions.png").is_file()


def test_the_number_is_that_of_the_best_state_on_the_test_digits(finished, data):
    require_number_of_best(*finished, data, k=12, samples=12, backward=3, pseudo_inputs=2)


@pytest.mark.long
def test_the_number_after_a_warm_up_is_that_of_the_best_state_too(train, data, tmp_path, capsys):
    assert train("--steps", 60, "--warm-up", 30) == 0
    require_number_of_best(tmp_path / "run", capsys.readouterr().out, data, k=10, warm_up=30)


@pytest.mark.long
def test_stopping_and_going_on_changes_nothing(train, tmp_path):
    for steps in (30, 40):
        assert train("--steps", steps) == 0
    assert train("--steps", 40, out=tmp_path / "whole") == 0
    one, other = (json.loads((tmp_path / name / "test.json").read_text()) for name in ("run", "whole"))
    assert one == other


def test_training_starts_from_the_best_state_of_an_earlier_run(finished, train, data, tmp_path):
    first = shutil.copytree(finished[0], tmp_path / "first")
    on = ("--pseudo-inputs", 2, "--warm-up", 30, "--learning-rate", 1e-12, "--start-from", first)
    assert train("--steps", 1, *on, out=tmp_path / "on") == 0
    config = program.Config(batch_size=8, latent_size=3, data_dir=data, pseudo_inputs=2)
    spec = load("binarized_mnist", split="test", data_dir=data).spec
    before, after = (
        best_networks(config, program.build, RunDirectory(folder), spec) for folder in (first, tmp_path / "on")
    )
    chex.assert_trees_all_close(after["encoder"], before["encoder"], atol=1e-6)
    first.rename(tmp_path / "elsewhere")  # what was begun goes on without it
    assert train("--steps", 2, *on, out=tmp_path / "on") == 0


def test_training_does_not_start_from_a_run_of_an_earlier_format(finished, train, tmp_path, capsys):
    first = shutil.copytree(finished[0], tmp_path / "first")
    record = json.loads((first / "config.json").read_text())
    del record["format"]  # format 1 had no such entry
    (first / "config.json").write_text(json.dumps(record))
    assert train("--pseudo-inputs", 2, "--start-from", first, out=tmp_path / "on") == 2
    error = capsys.readouterr().err
    assert f"error: --start-from {first} holds a run of format 1; this jaxgen resumes format 2" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "on").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--start-from", "/nowhere"), "--start-from /nowhere holds no run"),
        (("--latent-size", 0), "--latent-size 0: expected at least 1"),
        (("--samples", 0), "--samples 0: expected at least 1"),
        (("--backward", 0), "--backward 0: expected at least 1"),
        (("--samples", 3, "--backward", 4), "--backward 4 is more than --samples 3"),
        (("--test-samples", -1), "--test-samples -1: expected at least 0"),
        (("--data-dir", "/nowhere"), "--data-dir /nowhere is not a folder"),
        (("--data-dir", "/"), "Larochelle"),
        (("--network", "ladder", "--pseudo-inputs", 3), "--pseudo-inputs 3"),
        (("--samples", 2, "--warm-up", 3), "--warm-up 3"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(train, tmp_path, capsys, options, message):
    assert train(*options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("network", ["mlp", "residual", "ladder"])
def test_networks_are_of_the_size_of_the_papers(network):
    model = program.make_model(program.Config(network=network), program.ImageSpec(28, 28, 1))
    networks = jax.eval_shape(lambda: model.init(jax.random.key(0), program.ImageSpec(28, 28, 1)))
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(tree)) for name, tree in networks.items()}
    if network == "mlp":  # 784-200-200-(50, 50), 50-200-200-784
        dense = [(784, 200), (200, 200), (200, 100)], [(50, 200), (200, 200), (200, 784)]
        assert sizes == {
            name: sum(a * b + b for a, b in layers) for name, layers in zip(("encoder", "decoder"), dense, strict=True)
        }
    assert sum(sizes.values()) < 3_000_000
