"""Evaluations on the way, and the best state beside the last."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import ImageSpec, minimize
from jaxgen.cli import main as jaxgen
from jaxgen.core.sampler import Sampler
from jaxgen.core.step import init_state
from jaxgen.data import load
from jaxgen.evaluation import digit_network, frechet_distance, packaged_network
from jaxgen.export import ExportInfo, load_sampler
from jaxgen.training import RunDirectory
from jaxgen.training.best import Best
from jaxgen.training.checkpoint import Checkpoints
from jaxgen.training.grids import some_examples
from tests.programs import ROOT, TINY, load_program, loaded, run_here, write_images
from tests.training import toy_experiment

gan_mnist = load_program(ROOT / "experiments" / "gan_mnist.py")
EVALUATED = ("--evaluate-every", 4, "--evaluate-num", 100)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data") / "images.npz", num=120)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of 12 steps that was evaluated three times."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    with pytest.MonkeyPatch.context() as monkeypatch:
        options = (*TINY, *EVALUATED, "--data", data, "--out", out)
        assert run_here(monkeypatch, gan_mnist.main, *options, "--steps", 12) == 0
    return out


def evaluated(out):
    name = "evaluation/frechet_distance"
    return {row["step"]: row[name] for row in RunDirectory(out).rows() if name in row}


def test_the_best_of_the_evaluated_states_is_kept(finished, data):
    scores = evaluated(finished)
    assert list(scores) == [4, 8, 12]
    step = min(scores, key=scores.get)
    best = finished / "best"
    assert Best(best).scores() == {"frechet_distance": scores[step], "step": step}
    assert Checkpoints(best / "checkpoints").steps() == [step]
    drawn = load_sampler(best / "sampler").draw(seed=3, num=100)
    compared = some_examples(load(str(data)), 100, 3)["image"]
    features = [digit_network().extract(images).features for images in (drawn, compared)]
    assert frechet_distance(*features) == pytest.approx(scores[step], rel=1e-4)


@pytest.mark.long
def test_an_interruption_changes_no_evaluation(finished, data, tmp_path, monkeypatch):
    for steps in (9, 12):
        options = (*TINY, *EVALUATED, "--data", data, "--out", tmp_path, "--steps", steps)
        assert run_here(monkeypatch, gan_mnist.main, *options) == 0
    assert evaluated(tmp_path) == evaluated(finished)
    assert Best(tmp_path / "best").scores() == Best(finished / "best").scores()


def test_the_best_can_be_drawn_from_and_evaluated(finished, data, tmp_path, monkeypatch):
    best = finished / "best"
    assert run_here(monkeypatch, jaxgen, "sample", best, "--num", 9, "--out", tmp_path / "best.npz") == 0
    options = ("--num", 100, "--metrics", "frechet", "--out", tmp_path / "e.json")
    assert run_here(monkeypatch, jaxgen, "evaluate", best, "--split", "train", *options) == 0
    np.testing.assert_array_equal(
        loaded(tmp_path / "best.npz")["arr_0"], load_sampler(best / "sampler").draw(seed=0, num=9)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--evaluate-every", 5, "--evaluate-num", 60), "60 samples of 64 features"),
        (("--evaluate-every", -1), "--evaluate-every -1: expected at least 0"),
        (("--evaluate-every", 5, "--evaluate-num", 1), "--evaluate-num 1: expected at least 2"),
        (("--evaluate-every", 5, "--inception", "absent.pth"), "absent.pth"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(data, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert run_here(monkeypatch, gan_mnist.main, *TINY, "--data", data, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_images_of_any_size_are_evaluated_on_the_way(tmp_path, monkeypatch):
    data, out = write_images(tmp_path / "colour.npz", num=150, shape=(10, 6, 3)), tmp_path / "run"
    options = ("--data", data, "--out", out, "--steps", 4, "--evaluate-every", 4, "--evaluate-num", 140)
    assert run_here(monkeypatch, toy_experiment.main, *options) == 0
    seed = json.loads((out / "config.json").read_text())["config"]["seed"]
    drawn = load_sampler(out / "best" / "sampler").draw(seed=seed, num=140)
    compared = some_examples(load(str(data)), 140, seed)["image"]
    network = packaged_network(ImageSpec(10, 6, 3))
    features = [network.extract(images).features for images in (drawn, compared)]
    assert frechet_distance(*features) == pytest.approx(evaluated(out)[4], rel=1e-3)


def test_only_a_better_state_is_kept_and_a_kill_between_its_files_costs_nothing(tmp_path):
    def loss(networks, context):
        raise AssertionError("is not run")

    params = {"image": {"params": {"w": jnp.ones((2, 2, 1))}}}
    state = init_state(minimize(loss, optax.sgd(1.0), wrt="image"), params, jax.random.key(0))
    best, info = Best(tmp_path / "best"), ExportInfo(ImageSpec(2, 2, 1))

    def draw(networks, keys, _):
        return jnp.broadcast_to(networks["image"]["params"]["w"], (*keys.shape, *info.spec))

    sampler = Sampler(draw)

    assert best.is_beaten({"distance": 1e9})
    scores = {"distance": 2.0, "other": 1.0}
    best.keep(state._replace(step=jnp.int32(7)), params, scores, sampler, info)
    assert not best.is_beaten({"distance": 2.0})
    assert not best.is_beaten({"distance": float("nan")})
    assert best.is_beaten({"distance": 1.9})
    # After a setback: an earlier step.
    best.keep(state._replace(step=jnp.int32(3)), params, {"distance": 1.5}, sampler, info)
    assert best.scores() == {"distance": 1.5, "step": 3}
    assert Checkpoints(best.folder / "checkpoints").steps() == [3]
    (best.folder / "scores.json").write_text('{"dist')
    assert best.is_beaten({"distance": 1e9})
