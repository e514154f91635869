"""Several processes on this machine."""

import json
import os
import signal
import socket
import time

import chex
import numpy as np
import pytest

from jaxgen.training import RunDirectory
from jaxgen.training.checkpoint import Checkpoints
from jaxgen.training.processes import (
    ADDRESS,
    COUNT,
    LOST,
    NUMBER,
    Host,
)
from tests.programs import ROOT, raw, run_here, start
from tests.training import toy_experiment
from tests.training.toy_experiment import saved

PATH = ROOT / "tests" / "training" / "toy_experiment.py"


def start_two(*options, others=()):
    """Two processes of one run; `others` are further options of the second."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    return [
        start(
            PATH,
            "--distributed",
            *options,
            *(others if number else ()),
            environment={**os.environ, ADDRESS: address, COUNT: "2", NUMBER: str(number)},
        )
        for number in range(2)
    ]


def finish(processes):
    """Exit codes and the errors on stderr."""
    errors = [process.communicate(timeout=120)[1] for process in processes]
    return [process.returncode for process in processes], [
        "\n".join(line for line in error.splitlines() if "[Gloo]" not in line) for error in errors
    ]


def wait_for_checkpoint(out, after=0):
    deadline = time.monotonic() + 120
    while max(Checkpoints(out / "checkpoints").steps(), default=0) <= after:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.parametrize("parallel", ["jit", "fsdp"])
def test_two_processes_train_as_one(data, tmp_path, monkeypatch, parallel):
    options = ("--data", data, "--out", tmp_path / "two", "--log-every", 10, "--steps", 50, "--sample-every", 20)
    options = (*options, "--parallel", parallel)
    codes, errors = finish(start_two(*options))
    assert codes == [0, 0], errors
    assert run_here(monkeypatch, toy_experiment.main, *options, "--out", tmp_path / "one") == 0
    chex.assert_trees_all_close(
        raw(saved(tmp_path / "two", data)), raw(saved(tmp_path / "one", data)), rtol=1e-5, atol=1e-6
    )
    rows = [RunDirectory(tmp_path / name).rows() for name in ("two", "one")]
    for two, one in zip(*rows, strict=True):
        np.testing.assert_allclose(two["fit/loss"], one["fit/loss"], rtol=1e-5)
        assert two["step"] == one["step"]


@pytest.mark.long
def test_a_run_that_lost_a_process_goes_on_from_its_checkpoint(data, tmp_path):
    out = tmp_path / "run"
    options = ("--data", data, "--out", out, "--log-every", 10, "--checkpoint-every", 20)
    processes = start_two(*options, "--steps", 10_000_000)
    wait_for_checkpoint(out)
    processes[1].send_signal(signal.SIGKILL)
    codes, errors = finish(processes)
    assert codes == [1, -9]
    assert errors[0].startswith("error: Another process of this run is gone")
    assert "start all processes again with the same command" in errors[0]
    assert errors[0].count("\n") == 0
    stopped = Checkpoints(out / "checkpoints").steps()[-1]
    assert f"Step {stopped:,} is saved" in errors[0]

    processes = start_two(*options, "--steps", 10_000_000)
    wait_for_checkpoint(out, after=stopped)
    processes[1].send_signal(signal.SIGTERM)
    codes, errors = finish(processes)
    assert codes == [143, 143], errors
    reached = Checkpoints(out / "checkpoints").steps()[-1]

    assert finish(start_two(*options, "--steps", reached + 30))[0] == [0, 0]
    assert finish(start_two(*options, "--steps", reached + 30, "--out", tmp_path / "whole"))[0] == [0, 0]
    chex.assert_trees_all_equal(raw(saved(out, data)), raw(saved(tmp_path / "whole", data)))
    sessions = json.loads((out / "config.json").read_text())["sessions"]
    assert [session["step"] for session in sessions] == [0, stopped, reached]


@pytest.mark.long
def test_processes_that_were_started_differently_all_refuse(data, tmp_path):
    options = ("--data", data, "--out", tmp_path / "run", "--steps", 20)
    for others, message in [
        (("--seed", 1), "Process 1 was started with other options"),
        (("--data", tmp_path / "absent"), "is unknown: expected"),
        (("--keep", 0), "--keep 0: expected at least 1"),
    ]:
        codes, errors = finish(start_two(*options, others=others))
        assert codes == [2, 2], errors
        assert all(message in error and error.count("error: ") == 1 for error in errors)
    assert not (tmp_path / "run").exists()
    codes, errors = finish(start_two(*options, others=("--out", tmp_path / "elsewhere")))
    assert codes == [2, 2], errors
    assert all("elsewhere is not the folder of process 0" in error and error.count("\n") == 0 for error in errors)


@pytest.mark.parametrize(
    ("error", "is_lost"),
    [
        ("UNKNOWN: Gloo AllGather failed: Connection reset by peer", True),
        ("UNAVAILABLE: Task 1 heartbeat timeout", True),
        ("RESOURCE_EXHAUSTED: Out of memory", False),
        ("INVALID_ARGUMENT: a shape", False),
        ("No such file", False),
    ],
)
def test_only_some_errors_mean_that_a_process_is_lost(error, is_lost):
    assert bool(LOST.match(error)) == is_lost


def test_alone_a_process_agrees_with_itself():
    host = Host()
    assert host.is_first
    assert host.largest((3, False)) == (3, False)
    assert host.texts("one") == ["one"]
    assert host.rows(8) == slice(0, 8)
    assert host.agree(lambda: 7) == 7
    assert host.agree_on_first(lambda: 7) == 7
    host.require_same("this", "options")
    tree = {"w": np.ones(3)}
    assert host.share(tree) is tree


def test_each_process_reads_its_own_rows():
    assert [Host(number, 2).rows(8) for number in range(2)] == [slice(0, 4), slice(4, 8)]


def test_without_other_processes_to_join_a_run_is_refused(data, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in (ADDRESS, COUNT, NUMBER)}
    process = start(PATH, "--distributed", "--data", data, "--out", tmp_path / "run", environment=environment)
    codes, (error,) = finish([process])
    assert codes == [2]
    assert error.startswith("error: --distributed: the processes could not be joined")
    assert f"set {ADDRESS}, {COUNT} and {NUMBER}" in error
    assert error.count("\n") == 0
