"""Runs that are killed, broken, and moved."""

import json
import random
import signal
import time

import chex
import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen.data import load
from jaxgen.training import RunDirectory, first_state
from jaxgen.training.checkpoint import Checkpoints
from tests.programs import ROOT, raw, run_here, start, with_devices, write_images
from tests.training import toy_experiment
from tests.training.toy_experiment import saved

PATH = ROOT / "tests" / "training" / "toy_experiment.py"
KILLS = 30
RARELY = ("--log-every", 40, "--sample-every", 200, "--checkpoint-every", 40)  # in runs of many steps


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The state after 100 steps that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as monkeypatch:
        options = ("--data", data, "--out", out, "--log-every", 10, "--steps", 100)
        assert run_here(monkeypatch, toy_experiment.main, *options) == 0
    return raw(saved(out, data))


@pytest.fixture
def toy(data, tmp_path, monkeypatch):
    """Runs the toy experiment here; returns its exit code."""

    def run(*options, out=tmp_path / "run"):
        pace = ("--log-every", 10, "--sample-every", 20, "--checkpoint-every", 20)
        return run_here(monkeypatch, toy_experiment.main, "--data", data, "--out", out, *pace, *options)

    return run


@pytest.mark.command
def test_a_run_that_is_terminated_goes_on_as_if_it_had_not_been(data, tmp_path, toy):
    directory, began = RunDirectory(tmp_path / "run"), time.monotonic()
    pace = ("--log-every", 10, "--sample-every", 25, "--checkpoint-every", 10_000)  # saved because it is terminated
    process = start(PATH, "--data", data, "--out", directory.path, *pace, "--steps", 10_000_000)
    while len(directory.rows()) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - began < 120
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    stopped = Checkpoints(directory.checkpoints).steps()[-1]
    steps = stopped + 65
    assert toy(*pace, "--steps", steps) == 0
    assert [row["step"] for row in directory.rows()] == sorted({*range(10, steps, 10), *range(25, steps, 25), steps})
    sessions = json.loads(directory.config.read_text())["sessions"]
    assert [session["step"] for session in sessions] == [0, stopped]
    assert toy(*pace, "--steps", steps, out=tmp_path / "whole") == 0
    chex.assert_trees_all_equal(raw(saved(directory.path, data)), raw(saved(tmp_path / "whole", data)))


def test_minutes_end_a_run_with_everything_saved(toy, tmp_path):
    assert toy("--steps", 10) == 0
    began, rare = time.monotonic(), ("--log-every", 1_000, "--sample-every", 10**9, "--checkpoint-every", 10**9)
    assert toy("--steps", 10**9, "--max-minutes", 0.08, *rare) == 0
    assert time.monotonic() - began < 60
    assert (
        Checkpoints(tmp_path / "run" / "checkpoints").steps()[-1] == RunDirectory(tmp_path / "run").rows()[-1]["step"]
    )
    assert RunDirectory(tmp_path / "run").rows()[-1]["step"] > 10
    assert (tmp_path / "run" / "sampler" / "signature.json").exists()


@pytest.mark.long
def test_thirty_kills_change_nothing(data, tmp_path, toy, capfd):
    chance, directory = random.Random(0), RunDirectory(tmp_path / "run")
    arguments = (PATH, "--data", data, "--out", directory.path, "--log-every", 10, "--sample-every", 20)
    arguments = (*arguments, "--checkpoint-every", 30)
    lasts, wait = [0], 60.0
    for _ in range(KILLS):
        before, began = len(directory.rows()), time.monotonic()
        process = start(*arguments, "--steps", 10_000_000)
        while len(directory.rows()) <= before + 3 and process.poll() is None and time.monotonic() - began < wait:
            time.sleep(0.01)
        if lasts == [0]:
            wait = time.monotonic() - began + 1.0  # a start, and as much again as to be killed at any moment of it
        time.sleep(chance.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -9
        steps = Checkpoints(directory.checkpoints).steps()
        assert max(steps, default=0) >= lasts[-1]
        lasts.append(max(steps, default=0))
    assert len(set(lasts)) > KILLS // 2
    final = lasts[-1] + 25
    assert toy("--steps", final, "--checkpoint-every", 30) == 0
    assert toy("--steps", final, "--checkpoint-every", 30, out=tmp_path / "whole") == 0
    chex.assert_trees_all_equal(raw(saved(directory.path, data)), raw(saved(tmp_path / "whole", data)))
    whole = [without_times(row) for row in RunDirectory(tmp_path / "whole").rows()]
    assert [without_times(row) for row in directory.rows()] == whole
    with capfd.disabled():
        print(f"\n{KILLS} kills, {len(set(lasts)) - 1} of them after progress, {final} steps in all")


def without_times(row):
    return {name: value for name, value in row.items() if not name.startswith("time/")}


@pytest.mark.parametrize(
    ("fault", "at", "since", "message"),
    [
        ("nan", 50, 50, "Not finite: networks.generator.params.unused, networks.generator_ema.params.unused"),
        ("infinite", 50, 50, "A loss is not finite at step 70"),
        (
            "saturated",
            40,
            40,
            "The discriminator's loss fit/played_loss has been below 0.001 for 1,000 steps at step 1,040",
        ),
        ("collapse", 45, 40, "Drawn images differ from each other less than 10% as much as real ones at step 100"),
    ],
)
def test_a_divergence_stops_a_run_with_a_report(toy, tmp_path, data, capsys, fault, at, since, message):
    pace = RARELY if fault == "saturated" else ()
    assert toy("--fault", fault, "--fault-at", at, "--steps", 2_000, *pace) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    (folder,) = tmp_path.glob("run/divergence_*")
    report = (folder / "report.md").read_text()
    assert "Training stopped." in report
    assert f"all was well until step {since} " in report
    for picture in ("metrics.png", "drawn.png"):
        Image.open(folder / picture).verify()
    assert np.isfinite(saved(tmp_path / "run", data).networks["generator"]["params"]["unused"])


@pytest.mark.parametrize(
    ("fault", "at", "back", "steps", "every"),
    [
        ("nan", 50, 40, 100, 10),
        ("saturated", 40, 40, 1_120, 40),
        ("collapse", 45, 40, 150, 10),
        ("nan", 10, 0, 60, 10),
    ],
)
def test_going_back_leads_around_a_fault_that_chance_made(toy, tmp_path, data, capsys, fault, at, back, steps, every):
    pace = RARELY if every == 40 else ()
    assert toy("--fault", fault, "--fault-at", at, "--steps", steps, "--on-divergence", "rollback", *pace) == 0
    assert f"went back to step {back}" in capsys.readouterr().out
    state = saved(tmp_path / "run", data)
    assert (int(state.step), int(state.setbacks)) == (steps, 1)
    assert state.setbacks.dtype == np.int32
    config = toy_experiment.Config()
    first = first_state(config, toy_experiment.build(config, load(str(data)).spec))
    np.testing.assert_array_equal(*map(jax.random.key_data, (state.key, jax.random.fold_in(first.key, 1))))
    rows = RunDirectory(tmp_path / "run").rows()
    assert [row["step"] for row in rows] == list(range(every, steps + every, every))
    (setback,) = json.loads((tmp_path / "run" / "config.json").read_text())["setbacks"]
    assert setback["to"] == back


def test_going_back_ends_after_three_times(toy, tmp_path, capsys):
    assert toy("--fault", "nan", "--fault-at", 50, "--again", "--steps", 100, "--on-divergence", "rollback") == 1
    assert "after going back 3 times" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "run" / "config.json").read_text())["setbacks"]) == 3
    assert sorted(path.name for path in tmp_path.glob("run/divergence_*")) == [f"divergence_{n}" for n in (1, 2, 3, 4)]
    assert [path.stem for path in RunDirectory(tmp_path / "run").grids()] == ["step_0000020", "step_0000040"]


def test_what_stopped_can_go_back_afterwards(toy, tmp_path, data):
    options = ("--fault", "collapse", "--fault-at", 45, "--steps", 120)
    assert toy(*options) == 1
    assert toy(*options, "--on-divergence", "rollback") == 0
    assert toy(*options, "--on-divergence", "rollback", out=tmp_path / "at_once") == 0
    chex.assert_trees_all_equal(raw(saved(tmp_path / "run", data)), raw(saved(tmp_path / "at_once", data)))


def test_nothing_happens_to_a_healthy_run(toy, tmp_path, data):
    assert toy("--steps", 1_500, "--sample-every", 100, "--checkpoint-every", 500, "--on-divergence", "rollback") == 0
    assert not list(tmp_path.glob("run/divergence_*"))
    assert int(saved(tmp_path / "run", data).setbacks) == 0
    assert "setbacks" not in json.loads((tmp_path / "run" / "config.json").read_text())


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(whole, toy, tmp_path, data, capsys):
    assert toy("--steps", 60) == 0
    file = next(path for path in (tmp_path / "run" / "checkpoints" / "60" / "arrays").rglob("*") if path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert toy("--steps", 100) == 0
    printed = capsys.readouterr().out
    assert "The checkpoint of step 60" in printed
    assert "from step 40" in printed
    chex.assert_trees_all_equal(raw(saved(tmp_path / "run", data)), whole)


def test_few_images_are_not_taken_for_a_collapse(toy, tmp_path):
    few = write_images(tmp_path / "few.npz", num=8, shape=(8, 8, 1))
    assert toy("--data", few, "--steps", 100, "--fault", "collapse") == 0


@pytest.mark.long
def test_a_run_moves_between_devices_and_strategies(data, tmp_path, toy):
    arguments = (PATH, "--data", data, "--out", tmp_path / "run", "--log-every", 10)
    places = [(8, "jit"), (1, "auto"), (4, "fsdp"), (2, "pmap"), (8, "fsdp")]
    for number, (devices, parallel) in enumerate(places, start=1):
        place = ("--parallel", parallel)
        process = start(*arguments, "--steps", 10 * number, *place, environment=with_devices(devices))
        printed, error = process.communicate()
        assert process.returncode == 0, error
        assert f"from step {10 * (number - 1)}" in printed
        assert devices == 1 or f"on {devices} x" in printed
    assert toy("--steps", 50, out=tmp_path / "whole") == 0
    chex.assert_trees_all_close(
        raw(saved(tmp_path / "run", data)), raw(saved(tmp_path / "whole", data)), rtol=1e-5, atol=1e-6
    )


def test_a_run_that_streams_from_disk_is_the_run_from_memory_and_resumes(whole, toy, tmp_path, data):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(load(str(data)).arrays["image"]):
        Image.fromarray(image[..., 0]).save(folder / f"{number:02}.png")
    streamed = ("--data", folder, "--memory-gib", 1e-6, "--out", tmp_path / "streamed")
    for steps in (35, 100):
        assert toy("--steps", steps, *streamed) == 0
    chex.assert_trees_all_close(raw(saved(tmp_path / "streamed", data)), whole, rtol=1e-6, atol=1e-7)
