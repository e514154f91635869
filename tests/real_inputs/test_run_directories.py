"""Run directories as they are: claimed and not begun, on new disks, with others' files in them, with flipped bytes."""

import json
import random
import shutil

import jax.numpy as jnp
import pytest

from jaxgen import InputError, OutsideError
from jaxgen.export import load_sampler
from jaxgen.training import Best, Checkpoints, RunDirectory, Watched, find_damage, plot_metrics
from jaxgen.training.run_directory import require_same_run
from jaxgen.training.watchdog import observe_all
from tests.programs import run_here
from tests.training import toy_experiment

PACE = ("--log-every", 2, "--sample-every", 2, "--checkpoint-every", 2, "--keep", 3)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of six steps."""
    out = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run_here(monkeypatch, toy_experiment.main, "--data", data, "--out", out, *PACE, "--steps", 6) == 0
    return out


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of that run, to change."""
    return shutil.copytree(finished, tmp_path / "run")


FOREIGN = [
    "samples/step_0000006 (copy).png",
    "samples/step_0000006.png~",
    "samples/step_6.png",
    "samples/step_0000007.png/inside",
    "samples/step_best.png",
    "samples/._step_0000006.png",
    "samples/notes.txt",
    "checkpoints/notes.damaged.txt",
    "checkpoints/6 (copy)/manifest.json",
    "checkpoints/.DS_Store",
    "checkpoints/.unfinished thesis/chapter.txt",
    "checkpoints/6/notes.txt",
    "checkpoints/6/arrays/.DS_Store",
    "checkpoints/0006/x",
    "best/notes.txt",
    "best/checkpoints/x.png",
    "metrics (copy).jsonl",
    "config.json.bak",
]


def test_files_of_others_are_left_alone(copied, data, monkeypatch):
    for name in FOREIGN:
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        (copied / name).write_text("mine")
    options = ("--data", data, "--out", copied, *PACE, "--steps", 8)
    assert run_here(monkeypatch, toy_experiment.main, *options) == 0
    assert [(copied / name).read_text() for name in FOREIGN] == ["mine"] * len(FOREIGN)
    assert [row["step"] for row in RunDirectory(copied).rows()] == [2, 4, 6, 8]


def test_grids_are_the_runs_own_in_the_order_of_their_steps(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.samples.mkdir()
    for name in ("step_10000000.png", "step_9999999.png", "step_0000001 (1).png", "step_.png", "step_12.png"):
        (directory.samples / name).write_text("")
    assert [path.name for path in directory.grids()] == ["step_9999999.png", "step_10000000.png"]


NOTHING, FOLDER = None, "folder"
BEGINS = [
    {},
    {"samples": FOLDER},
    {"samples": FOLDER, ".lock": ""},
    {"samples": FOLDER, ".lock": "", ".config.json.123.partial": "{"},
    {"lost+found": FOLDER},
    {"lost+found": FOLDER, "samples": FOLDER, ".lock": ""},
    {".DS_Store": "x", "Thumbs.db": "x", "desktop.ini": "x"},
    {"System Volume Information": FOLDER, "$RECYCLE.BIN": FOLDER},
    {".Trash-1000": FOLDER, ".snapshot": FOLDER},
    {"samples/.DS_Store": "x"},
]
REFUSED = [
    ({"thesis.txt": "x"}, "holds thesis.txt and holds no run"),
    ({"lost+found": FOLDER, "photos": FOLDER}, "holds photos"),
    ({"samples/holiday.png": "x"}, "holds samples/holiday.png"),
    ({"samples": "a file"}, "holds samples"),
    ({"checkpoints": FOLDER, ".lock": ""}, "holds checkpoints"),
    ({"metrics.jsonl": ""}, "holds metrics.jsonl"),
]


def make(folder, entries):
    """Makes files and folders."""
    folder.mkdir(exist_ok=True)
    for name, content in entries.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content == FOLDER:
            path.mkdir()
        else:
            path.write_text(content)


@pytest.mark.parametrize("entries", BEGINS, ids=", ".join)
def test_a_run_begins_where_no_file_of_anyone_is(entries, tmp_path):
    make(tmp_path, entries)
    directory = RunDirectory(tmp_path)
    assert directory.earlier() is None
    assert directory.set_aside() is None
    directory.open()
    directory.close()
    assert all((tmp_path / name).exists() for name in entries)


@pytest.mark.parametrize(("entries", "line"), REFUSED, ids=lambda value: value if isinstance(value, str) else None)
def test_no_run_begins_among_files_of_someone(entries, line, tmp_path):
    make(tmp_path, entries)
    with pytest.raises(InputError) as raised:
        RunDirectory(tmp_path).earlier()
    assert line in str(raised.value)
    assert "choose an empty or a new folder" in str(raised.value)


def test_a_run_that_was_claimed_and_not_begun_begins(data, tmp_path, monkeypatch):
    directory = RunDirectory(tmp_path / "run")
    directory.open()
    directory.close()
    options = ("--data", data, "--out", directory.path, "--steps", 2)
    assert run_here(monkeypatch, toy_experiment.main, *options) == 0
    assert directory.step() == 2


ROWS = [
    ('{"step": 2, "a": 1.5}', [2]),
    ('{"step": 2, "a": null}', [2]),
    ('{"step": 2, "a": NaN}', [2]),
    ('{"step": 2', []),
    ('{"stop": 2}', []),
    ('{"step": "2"}', []),
    ('{"step": -2}', []),
    ('{"step": 2.0}', []),
    ('{"step": true}', []),
    ('{"step": 2, "a": "x"}', []),
    ('{"step": 2, "a": 1' + "0" * 400 + "}", []),
    ('{"step": 2, "a": 1' + "0" * 5000 + "}", []),
    ("[" * 100_000, []),
    ("[2]", []),
    ("null", []),
    ("", []),
]


@pytest.mark.parametrize(("line", "steps"), ROWS, ids=lambda value: value[:30] if isinstance(value, str) else "")
def test_a_line_that_is_no_row_of_metrics_costs_that_line(line, steps, tmp_path):
    directory = RunDirectory(tmp_path)
    directory.metrics.write_text(f'{{"step": 1}}\n{line}\n{{"step": 3}}\n')
    assert [row["step"] for row in directory.rows()] == [1, *steps, 3]
    assert directory.step() == 3


def flipped(content, generator):
    """The bytes with up to three of them changed, cut short, or repeated."""
    content = bytearray(content)
    for _ in range(generator.randint(1, 3)):
        place = generator.randrange(len(content))
        content[place] ^= 1 << generator.randrange(8)
    if generator.random() < 0.1:
        del content[generator.randrange(len(content)) :]
    return bytes(content)


def read_config(out):
    """What resuming reads of `config.json`."""
    directory = RunDirectory(out)
    record = directory.earlier()
    good = json.loads((out / "config.good").read_text())
    require_same_run(out, record, good, frozenset())
    directory.note("setbacks", {"from": 1})


def read_metrics(out):
    """What resuming and the end of a run read of `metrics.jsonl`."""
    directory = RunDirectory(out)
    rows = directory.rows()
    observe_all(rows, Watched(("fit/loss",), ("fit/played_loss",)))
    directory.rewind(4)
    json.dumps(rows)


def read_checkpoints(out):
    """What resuming reads of checkpoints."""
    checkpoints = Checkpoints(out / "checkpoints")
    for step in checkpoints.steps():
        find_damage(out / "checkpoints" / str(step))


def read_scores(out):
    """What a run reads of the record of its best state."""
    best = Best(out / "best")
    best.is_beaten({"score": 1.0})
    if scores := best.scores():
        ", ".join(f"{name} {value:,.4g}" for name, value in scores.items() if name != "step")
        scores.pop("step")


FUZZED = [
    ("config.json", read_config, 150),
    ("metrics.jsonl", read_metrics, 150),
    ("checkpoints/6/manifest.json", read_checkpoints, 80),
    ("best/scores.json", read_scores, 60),
    ("sampler/signature.json", lambda out: load_sampler(out / "sampler"), 80),
    ("sampler/sampler.stablehlo", lambda out: load_sampler(out / "sampler"), 40),
]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(("name", "read", "times"), FUZZED, ids=[name for name, *_ in FUZZED])
def test_flipped_bytes_are_at_most_an_error_of_one_line(name, read, times, seed, copied):
    (copied / "best").mkdir(exist_ok=True)
    (copied / "best" / "scores.json").write_text('{"score": 2.5, "step": 4}\n')
    shutil.copy(copied / "config.json", copied / "config.good")
    content, generator, lines = (copied / name).read_bytes(), random.Random(f"{name} {seed}"), []
    for _ in range(times):
        (copied / name).write_bytes(flipped(content, generator))
        try:
            read(copied)
        except (InputError, OutsideError) as error:
            lines.append(str(error))
    assert not [line for line in lines if "\n" in line]


def test_metrics_with_flipped_bytes_can_be_plotted(copied, tmp_path):
    content, generator = (copied / "metrics.jsonl").read_bytes(), random.Random(0)
    for number in range(1):
        (copied / "metrics.jsonl").write_bytes(flipped(content, generator))
        plot_metrics(tmp_path / f"{number}.png", RunDirectory(copied).rows())
    assert jnp.isfinite(RunDirectory(copied).step())
