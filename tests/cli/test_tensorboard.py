"""`tensorboard`, as typed: event files that another program reads."""

import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest

from jaxgen.cli import main as jaxgen
from jaxgen.cli.tensorboard import Events
from jaxgen.training.run_directory import RunDirectory
from tests.explore.toy_run import write_run
from tests.programs import run_here

PROTO = pytest.importorskip("tensorboardX").proto.event_pb2
ROWS = [{"step": 10, "generator/loss": 0.5, "rate": None}, {"step": 20, "generator/loss": 0.25}]


def events_in(folder):
    """The events of the files in a folder: records of a length, its checksum, the bytes and their checksum."""
    events = []
    for file in sorted(folder.glob("events*")):
        content, place = file.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            events.append(PROTO.Event.FromString(content[place + 12 : place + 12 + length]))
            place += 12 + length + 4
    return [(event.step, value) for event in events for value in event.summary.value]


def test_event_files_have_the_rows_and_the_grids(tmp_path, monkeypatch):
    write_run(tmp_path / "runs" / "toy", exported=False, rows=ROWS)
    assert run_here(monkeypatch, jaxgen, "tensorboard", tmp_path / "runs", "--out", tmp_path / "events") == 0
    found = events_in(tmp_path / "events" / "toy")
    scalars = [(step, value.tag, value.simple_value) for step, value in found if value.tag != "samples"]
    assert scalars == [(10, "generator/loss", 0.5), (20, "generator/loss", 0.25)]
    images = [(step, value.image.height, value.image.colorspace) for step, value in found if value.tag == "samples"]
    assert [step for step, *_ in images] == [1_000, 2_000]


def test_a_run_that_goes_on_is_read_on(tmp_path):
    run, written, grids = write_run(tmp_path / "toy", exported=False, rows=ROWS), [], []
    writer = SimpleNamespace(flush=lambda: None, add_image=lambda name, image, step, **_: grids.append(step))
    writer.add_scalar = lambda name, value, step: written.append((step, value))
    events = Events(RunDirectory(run), writer)
    events.read_on()
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 30, "generator/loss": 0.125}) + "\n")
    events.read_on()
    assert written == [(10, 0.5), (20, 0.25), (30, 0.125)]
    assert grids == [1_000, 2_000]  # once, though no row is as far
    RunDirectory(run).rewind(10)  # a resumed run goes back, and writes a step again
    events.read_on()
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 20, "generator/loss": 7.0}) + "\n")
    events.read_on()
    np.testing.assert_array_equal(written[3:], [(20, 7.0)])


def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "runs").mkdir()
    assert run_here(monkeypatch, jaxgen, "tensorboard", tmp_path / "runs", "--out", tmp_path / "events") == 2
    assert "There is no run in" in capsys.readouterr().err
    write_run(tmp_path / "runs" / "toy", exported=False, rows=ROWS)
    assert run_here(monkeypatch, jaxgen, "tensorboard", tmp_path / "runs", "--out", tmp_path) == 2
    assert "exists: choose a new folder" in capsys.readouterr().err
