"""Machines as they are: without a home folder, a device or enough memory, threads, terminals of all kinds."""

import io
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.table import Table

from jaxgen.core.image import ImageSpec
from jaxgen.core.sampler import Sampler
from jaxgen.data.prepared import default_folders
from jaxgen.evaluation import Estimate, images_to_test, in_parts, write_results
from jaxgen.export import ExportInfo, export_sampler
from jaxgen.io import files, system, terminal
from jaxgen.io.errors import InputError, OutsideError, enough_memory, package
from jaxgen.io.program import ending_of
from jaxgen.io.terminal import progress, say
from jaxgen.training import run as training_run
from tests.programs import run_here, start
from tests.training import toy_experiment


@pytest.fixture(autouse=True)
def ctrl_c():
    """Python's handler of Ctrl-C, which a program that a shell started in the background does not have."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


@pytest.fixture
def homeless(monkeypatch):
    """A user of a container: HOME is not set, and the user id is not in the list of users."""
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    files._temporary_cache.cache_clear()
    yield
    files._temporary_cache.cache_clear()


def test_a_user_without_a_home_folder_caches_in_a_temporary_one_and_hears_of_it_once(homeless, capsys, monkeypatch):
    first, second = files.cache_folder(), files.cache_folder()
    assert first == second
    assert first.is_dir()
    assert first.is_absolute()
    assert capsys.readouterr().out.count("no home folder") == 1
    assert default_folders() == []
    monkeypatch.setenv("XDG_CACHE_HOME", str(first / "own"))
    assert files.cache_folder() == first / "own" / "jaxgen"


def test_a_cache_folder_that_cannot_be_made_is_replaced(homeless, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert files.cache_folder().is_dir()


def test_a_run_of_a_user_without_a_home_folder(homeless, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_here(monkeypatch, toy_experiment.main, "--data", data, "--out", "run", "--steps", 2) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


MISTAKES = [
    (lambda: np.empty(2**58), 1, "memory is not enough (Unable to allocate 2.00 EiB", "make --batch-size, --num"),
    (lambda: jnp.zeros(2**45), 1, "memory is not enough (RESOURCE_EXHAUSTED", "make --batch-size, --num"),
    (lambda: bytearray(2**60), 1, "memory is not enough (MemoryError)", "make --batch-size, --num"),
    (lambda: Path("/proc/no/such").write_text("x"), 1, "/proc/no/such: No such file", ""),
    (
        lambda: package("no_such_package", "reads minds"),
        1,
        "The package no-such-package, which reads minds, is not",
        "",
    ),
    (lambda: files.expanded("~nobody-here/x"), 2, "the user nobody-here has no home folder", "the whole path"),
    (lambda: signal.raise_signal(signal.SIGINT), 130, "Interrupted.", ""),
]


@pytest.mark.parametrize(("do", "code", "what", "fix"), MISTAKES)
def test_an_exception_of_the_machine_is_one_line(do, code, what, fix):
    with pytest.raises(BaseException) as raised:  # noqa: PT011
        do()
    ending = ending_of(raised.value)
    assert ending is not None
    assert ending.code == code
    assert what in ending.line
    assert fix in ending.line
    assert "\n" not in ending.line


@pytest.mark.parametrize("error", [ValueError("a bug"), RuntimeError("a bug"), AssertionError(), KeyError("x")])
def test_a_mistake_of_the_program_keeps_its_traceback(error):
    assert ending_of(error) is None


@pytest.mark.command
@pytest.mark.parametrize("backend", ["cuda", "no_such"])
def test_a_back_end_that_is_not_there_is_one_line(backend):
    program = "import jax; from jaxgen.io.program import command; command(jax.devices)"
    process = start("-c", program, environment={**os.environ, "JAX_PLATFORMS": backend})
    _, errors = process.communicate()
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert process.returncode == 1
    assert line.startswith(f"error: JAX_PLATFORMS={backend}: ")
    assert "set it to cpu" in line
    assert "Traceback" not in errors


def test_more_images_than_fit_into_memory(tmp_path, monkeypatch, capsys):
    from jaxgen import cli

    sampler = Sampler(lambda networks, keys, _: jax.vmap(lambda key: jnp.zeros((8, 8, 1)))(keys))
    export_sampler(sampler)(tmp_path / "sampler", {}, ExportInfo(ImageSpec(8, 8, 1)))
    monkeypatch.setattr("jaxgen.export.sampler.installed_memory", lambda: 10**6)
    options = ("sample", tmp_path, "--num", 200_000_000, "--out", tmp_path / "drawn.npz")
    assert run_here(monkeypatch, cli.main, *options) == 1
    assert "make --num 200000000 smaller" in capsys.readouterr().err
    assert not (tmp_path / "drawn.npz").exists()


def test_a_run_without_enough_memory_leaves_its_directory_to_a_smaller_one(data, tmp_path, monkeypatch, capsys):
    options = ("--data", data, "--out", tmp_path / "run", "--steps", 2)
    with monkeypatch.context() as patched:
        patched.setitem(training_run.__globals__, "train_loop", lambda *_: jnp.zeros(2**45))
        assert run_here(patched, toy_experiment.main, *options, "--batch-size", 16) == 1
    assert "--batch-size" in capsys.readouterr().err
    assert run_here(monkeypatch, toy_experiment.main, *options, "--batch-size", 8) == 0


def test_only_a_lack_of_memory_is_said_to_be_one():
    with pytest.raises(KeyError), enough_memory("--num 3"):
        raise KeyError("x")
    with pytest.raises(OutsideError, match="make --num 3 smaller"), enough_memory("--num 3"):
        raise MemoryError


def test_a_run_in_another_thread_trains_without_handling_signals(data, tmp_path, monkeypatch):
    codes = []
    options = ("--data", data, "--out", tmp_path / "run", "--steps", 2)
    thread = threading.Thread(target=lambda: codes.append(run_here(monkeypatch, toy_experiment.main, *options)))
    thread.start()
    thread.join()
    assert codes == [0]
    assert (tmp_path / "run" / "sampler").is_dir()


def test_handlers_are_put_back_also_those_from_outside_python(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    with system.Handling(lambda *_: None, (signal.SIGTERM,)):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with system.Handling(lambda *_: None, system.STOPPING):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


SAID = [
    ("ascii", "3 ± 1", "3 ? 1\n"),
    ("ascii", "café [red]/x[/red]", "caf? [red]/x[/red]\n"),
    ("utf-8", "3 ± 1 [/] :smile:", "3 ± 1 [/] :smile:\n"),
    ("utf-8", "runs/[bold]x", "runs/[bold]x\n"),
    ("utf-8", "a\udcffb", "a?b\n"),
    ("latin-1", "✓ é", "? é\n"),
    ("cp1252", "x" * 200, "x" * 200 + "\n"),
]


@pytest.mark.parametrize(("encoding", "text", "expected"), SAID)
def test_what_is_said_is_what_the_terminal_can_show(encoding, text, expected, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    say(text)
    sys.stdout.flush()
    assert raw.getvalue().decode(encoding) == expected


def test_results_are_written_before_they_are_shown_and_shown_in_ascii(tmp_path, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    path = tmp_path / "[red]" / "results.json"
    write_results(path, {"a [/]": {"m [x]": Estimate(1.0, 0.5)}, "b": {}}, title="title [/b]")
    sys.stdout.flush()
    shown = raw.getvalue().decode()
    assert path.exists()
    assert all(part in shown for part in ("1 ? 0.5", "a [/]", "m [x]", "title [/b]", "[red]"))


def test_a_table_of_users_texts_has_no_markup(capsys):
    table = Table("[red]", title="[/x]")
    table.add_row("[bold]y")
    say(table)
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("[red]", "[/x]", "[bold]y"))


@pytest.mark.parametrize("stream", [None, "closed", "full"])
def test_a_terminal_that_is_gone_ends_nothing(stream, monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(5, "Input/output error")

        def fileno(self):
            raise OSError(9, "Bad file descriptor")

    file = {"closed": io.StringIO(), "full": Full()}.get(stream)
    if stream == "closed":
        file.close()
    monkeypatch.setattr(sys, "stdout", file)
    say("text")
    assert progress(lambda item: item, range(3), "Counting") == [0, 1, 2]


@pytest.mark.command
def test_nobody_reading_is_no_error():
    program = "from jaxgen.io.terminal import say\nfor _ in range(5000): say('a long line of text')"
    shell = f'"{sys.executable}" -c "{program}" | head -1; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a long line of text\n", "")


def test_progress_is_lines_where_the_output_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0.0)
    assert progress(lambda item: 2 * item, [1, 2, 3, 4], "Doubling [x]") == [2, 4, 6, 8]
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"Doubling [x]: {done}%" for done in (25, 50, 75)
    ]


def test_progress_inside_progress_is_not_shown(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "FIRST_SECONDS", 0.0)
    inner = lambda item: progress(str, [item, item], "Inner")  # noqa: E731
    assert progress(inner, [1, 2], "Outer") == [["1", "1"], ["2", "2"]]
    assert "Inner" not in capsys.readouterr().out


def test_ctrl_c_ends_an_evaluation_with_what_it_has(capsys):
    images = np.arange(40 * 16, dtype=np.uint16).astype(np.uint8).reshape(40, 4, 4, 1)

    def mean(part):
        if (part == images[20:30]).all():
            signal.raise_signal(signal.SIGINT)
        return part.astype(float).mean((1, 2, 3))

    np.testing.assert_array_equal(in_parts(mean, images, size=10), images[:30].astype(float).mean((1, 2, 3)))
    assert "stopped after 75%" in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):
        progress(lambda _: signal.raise_signal(signal.SIGINT), range(3), "Not to be stopped half-way")


TESTED = [(6, 10_000, 60), (0, 10_000, 50), (500, 10_000, 5_000), (1_000, 10_000, 10_000), (10**6, 300, 300)]


@pytest.mark.parametrize(("step", "most", "expected"), TESTED)
def test_a_short_run_is_tested_with_proportionally_fewer_images(step, most, expected, capsys):
    images = np.random.default_rng(0).integers(0, 256, (10_000, 2, 2, 1), np.uint8)
    assert len(images_to_test(images, step, most)) == expected
    said = capsys.readouterr().out
    assert f"Evaluating {expected:,} of 10,000 test images" in said
    assert (f"the run has {step:,} steps" in said) == (expected < most)


def test_files_are_written_through_and_space_is_reserved(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    system.write_through(tmp_path / "file")
    system.reserve_space(tmp_path / "space", 10**5)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(OSError, match=r"No space left|File too large"):
        system.reserve_space(tmp_path / "space", 2**60)


def test_the_system_is_asked_in_one_module():
    sources = {path: path.read_text() for path in Path(system.__file__).parents[1].rglob("*.py")}
    words = (
        "import signal",
        "fsync",
        "fallocate",
        "import fcntl",
        "import resource",
        "os.sep",
        "getuid",
        "sys.platform",
    )
    asking = {path.name for path, text in sources.items() if any(word in text for word in words)}
    assert asking <= {"system.py", "interruption.py"}  # the second names signals, which all systems have


def test_one_module_prints():
    printing = [
        path.name
        for path in Path(system.__file__).parents[1].rglob("*.py")
        if any(line.lstrip().startswith(("print(", "Console(")) for line in path.read_text().splitlines())
    ]
    assert printing == []


def test_time_is_as_on_a_clock():
    assert [terminal.clock_time(seconds) for seconds in (0.4, 59.6, 3_599.9)] == ["0:00", "1:00", "1:00:00"]
    assert time.monotonic() > 0


def test_an_unknown_home_in_the_data_is_an_input_error():
    with pytest.raises(InputError, match="the user nobody-here has no home folder here: give the whole path"):
        files.expanded("~nobody-here/mnist")
