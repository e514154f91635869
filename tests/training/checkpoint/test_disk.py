"""What goes wrong in saving leaves the checkpoints as they were."""

import errno
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxgen.io.errors import InputError, OutsideError
from jaxgen.io.program import command
from jaxgen.training import array_shards, manifest
from jaxgen.training.checkpoint import Checkpoints
from jaxgen.training.manifest import find_damage
from tests.programs import ROOT
from tests.training.checkpoint.states import assert_restored, contents, flip, state


def assert_kept(folder, before):
    """The folder holds what it held, and nothing of what could not be saved."""
    assert contents(folder) == before
    assert not [path for path in folder.iterdir() if not path.name.isdecimal()]
    assert_restored(folder, state(seed=2, step=2))


def fail_to_save(folder, save, why):
    """Saves in vain; returns the message of the error."""
    with pytest.raises(OutsideError, match=rf"checkpoint of step 3 in .* cannot be written: {why}") as error:
        save(Checkpoints(folder), state(seed=3, step=3))
    assert "\n" not in str(error.value)
    return str(error.value)


SAVES = pytest.mark.parametrize("save", [Checkpoints.save, Checkpoints.rewind], ids=["save", "rewind"])


@SAVES
@pytest.mark.parametrize("most", [0, 100, 30_000])
def test_files_that_cannot_grow_leave_the_checkpoints_as_they_were(folder, capfd, caplog, save, most):
    before, (soft, hard) = contents(folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    caplog.set_level(logging.ERROR)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        message = fail_to_save(folder, save, "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert message.endswith(": File too large.")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert_kept(folder, before)


@SAVES
@pytest.mark.parametrize(
    ("module", "after"),
    [
        *((array_shards, name) for name in ("write", "merge", "require_written")),
        *((manifest, name) for name in ("record_files", "write_manifest", "array_files", "digest")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_disk_that_is_full_at_any_time_leaves_the_checkpoints_as_they_were(folder, monkeypatch, save, module, after):
    do, before = getattr(module, after), contents(folder)

    def fill(*arguments):
        do(*arguments)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "manifest.json")

    monkeypatch.setattr(module, after, fill)
    fail_to_save(folder, save, r"No space left on device\.$")
    monkeypatch.undo()
    assert_kept(folder, before)


CRAMPED = """
import os, resource, sys
import pytest
from pathlib import Path
from jaxgen.training.checkpoint import Checkpoints
from jaxgen.io.errors import OutsideError
from tests.training.checkpoint.states import state
checkpoints = Checkpoints(Path(sys.argv[1]))
checkpoints.save(state(seed=1, step=1))
del os.posix_fallocate
for most in (0, 100, 150, 200, 250, 300, 400, 600, 1000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    with pytest.raises(OutsideError, match=r"^The checkpoint of step 2 in .* cannot be written: .*File too large.*"):
        checkpoints.save(state(seed=2, step=2))
    assert checkpoints.steps() == [1]
"""


@pytest.mark.command
def test_a_disk_that_is_full_as_orbax_writes_leaves_the_checkpoints_as_they_were(tmp_path):
    # In a process of its own: threads that Orbax leaves behind complain after the fact.
    arguments = [sys.executable, "-c", CRAMPED, tmp_path]
    process = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert "ERROR:absl" not in process.stderr
    assert Checkpoints(tmp_path).steps() == [1]
    assert_restored(tmp_path, state(seed=1, step=1))
    Checkpoints(tmp_path).save(state(seed=2, step=2))
    assert_restored(tmp_path, state(seed=2, step=2))


def test_what_does_not_read_back_is_not_kept(folder, monkeypatch):
    read, before = array_shards.read, contents(folder)

    def misread(*arguments, **names):
        return {**read(*arguments, **names), "step": np.int32(4)}

    monkeypatch.setattr(array_shards, "read", misread)
    fail_to_save(folder, Checkpoints.save, "what is read back is not what was written")
    monkeypatch.undo()
    assert_kept(folder, before)


def test_a_folder_that_cannot_be_written_is_reported_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    fail_to_save(tmp_path / "file" / "checkpoints", Checkpoints.save, r"Not a directory\.$")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc to write in vain")
def test_a_read_only_folder_is_reported_in_one_line():
    fail_to_save(Path("/proc/self/checkpoints"), Checkpoints.save, "")


def test_an_interrupt_leaves_no_half_written_step(folder, monkeypatch):
    before = contents(folder)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "write_manifest", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Checkpoints(folder).save(state(seed=3, step=3))
    monkeypatch.undo()
    assert_kept(folder, before)


def test_leftovers_of_a_kill_are_ignored_and_removed(folder):
    shutil.copytree(folder / "1", folder / ".unfinished")
    shutil.copytree(folder / "2", folder / ".unfinished.0")
    (folder / ".unfinished" / "manifest.json").unlink()
    (folder / "007").mkdir()
    assert Checkpoints(folder).steps() == [1, 2]
    assert_restored(folder, state(seed=2, step=2))
    Checkpoints(folder).save(state(seed=3, step=3))
    assert sorted(path.name for path in folder.iterdir()) == ["007", "2", "3"]


def test_leftovers_of_a_kill_in_mid_deletion_are_not_in_the_way(folder):
    shutil.copytree(folder / "1", folder / ".unfinished.2")
    flip(folder / "2" / "manifest.json")
    Checkpoints(folder).save(state(seed=5, step=2))
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]
    assert_restored(folder, state(seed=5, step=2))


KILLED = """
import sys
from jaxgen.training.checkpoint import Checkpoints
from pathlib import Path
from tests.training.checkpoint.states import state
checkpoints = Checkpoints(Path(sys.argv[1]))
for step in range(1, 1_000_000):
    checkpoints.save(state(seed=1, step=step))
    print(step, flush=True)
"""


@pytest.mark.command
def test_a_kill_at_any_time_leaves_whole_checkpoints_only(tmp_path):
    arguments = [sys.executable, "-c", KILLED, tmp_path]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        saved = [int(process.stdout.readline()) for _ in range(5)]
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        saved += [int(line) for line in process.stdout]
    steps = Checkpoints(tmp_path).steps()
    assert steps[-1] >= saved[-1]
    assert [find_damage(tmp_path / str(step)) for step in steps] == [None] * len(steps)
    assert_restored(tmp_path, state(seed=1, step=steps[-1]))
    Checkpoints(tmp_path).save(state(seed=1, step=steps[-1] + 1))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (OutsideError("The disk is full."), "error: The disk is full.\n", 1),
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "error: /a/b: No space left on device\n", 1),
        (OSError(errno.ENOSPC, "No space left on device"), "error: No space left on device\n", 1),
        (OSError("it broke\nbadly"), "error: it broke\n", 1),
        (InputError("--steps 0: expected 1."), "error: --steps 0: expected 1.\n", 2),
    ],
)
def test_a_program_reports_an_error_in_one_line(capsys, error, message, code):
    def main():
        raise error

    with pytest.raises(SystemExit) as stop:
        command(main)
    assert stop.value.code == code
    assert capsys.readouterr().err == message
