"""What one of two processes with four devices each does with their checkpoints; test_sharded.py starts it.

python -m tests.training.checkpoint.two_processes FOLDER COORDINATOR NUMBER [kill]
"""

import errno
import json
import os
import sys
import traceback
from contextlib import contextmanager, nullcontext
from pathlib import Path

import jax
import pytest

from jaxgen.io.errors import InputError, OutsideError
from jaxgen.training import array_shards, manifest
from jaxgen.training.checkpoint import Checkpoints, Retention, find_damage
from jaxgen.training.processes import Host
from jaxgen.training.shared_folder import require_shared
from tests.training.checkpoint.sharded_states import assert_same_bits, large, restored, strategy
from tests.training.checkpoint.states import flip, quiet


@contextmanager
def failing(module, name):
    """A function of a module fails as on a full disk."""
    with pytest.MonkeyPatch.context() as patch:

        def fail(*arguments):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(module, name, fail)
        yield


def check_moves(folder, host, place):
    assert_same_bits(restored(folder / "one", place, quiet, host=host), large(3, 7))
    Checkpoints(folder / "two", host=host).save(place.put_state(large(1, 1)))
    assert_same_bits(restored(folder / "two", place, quiet, host=host), large(1, 1))
    content = json.loads((folder / "two" / "1" / "manifest.json").read_text())["content"]
    assert content["processes"] == 2
    for number in range(2):
        sizes = [size for name, size in content["sizes"].items() if f"ocdbt.process_{number}/" in name]
        assert sum(sizes) > 4096  # of 16 KiB of weights, compressed


def check_failures(folder, host, place):
    """What fails in one process fails in both, in a line, and costs nothing."""
    for number, module, name in [
        (0, array_shards, "write"),
        (1, array_shards, "write"),
        (0, array_shards, "merge"),
        (1, array_shards, "require_written"),
        (1, manifest, "record_files"),
        (0, manifest, "write_manifest"),
    ]:
        fails, save = host.number == number, Checkpoints(folder / "two", host=host).save
        with pytest.raises(OutsideError) as error, failing(module, name) if fails else nullcontext():
            save(place.put_state(large(2, 2)))
        assert str(error.value).startswith(f"{'' if fails else f'Process {number} of 2: '}The checkpoint of step 2 in")
        assert str(error.value).endswith("cannot be written: No space left on device.")
        host.texts("the first has tidied up")
        assert [path.name for path in (folder / "two").iterdir()] == ["1"]
        assert_same_bits(restored(folder / "two", place, quiet, host=host), large(1, 1))


def check_damage(folder, host, place):
    """Both processes pass over what is damaged, whichever file it is."""
    checkpoints = Checkpoints(folder / "two", Retention(last=5), host)
    for number, step in enumerate((2, 3)):
        checkpoints.save(place.put_state(large(step, step)))
        if host.is_first:
            files = (folder / "two" / str(step)).rglob(f"ocdbt.process_{number}/d/*")
            flip(max(files, key=lambda path: path.stat().st_size))
        host.texts("it is damaged")
        lines = []
        assert_same_bits(restored(folder / "two", place, lines.append, host=host), large(1, 1))
        assert f"ocdbt.process_{number}" in lines[0]
        assert lines[0].endswith(f"is changed. It is now {step}.damaged.")
        assert len(set(host.texts(lines[0]))) == 1


def check_order(folder, host, place):
    """Retention, replacing and going back are as with one process."""
    checkpoints = Checkpoints(folder / "order", Retention(last=1), host)
    for step in (1, 2, 3):
        checkpoints.save(place.put_state(large(step, step)), protect=1)
    host.texts("saved")
    assert checkpoints.steps() == [1, 3]
    checkpoints.rewind(place.put_state(large(9, 2)))
    host.texts("gone back")
    assert checkpoints.steps() == [1, 2]
    checkpoints.replace(place.put_state(large(8, 1)))
    host.texts("replaced")
    assert checkpoints.steps() == [1]
    assert_same_bits(restored(folder / "order", place, quiet, host=host), large(8, 1))


def check_shared(folder, host):
    """A folder of one host alone is noticed."""
    own = folder / f"of_{host.number}"
    own.mkdir()
    require_shared("--out", folder, host)
    with pytest.raises(InputError, match=r"--out .*of_1 is not the folder of process 0.*give a folder that all hosts"):
        require_shared("--out", own, host, patience=0.2)
    host.texts("looked")
    assert not list(folder.rglob(".token"))


def save_until_killed(folder, host, place):
    checkpoints = Checkpoints(folder / "killed", host=host)
    try:
        for step in range(1, 1_000_000):
            checkpoints.save(place.put_state(large(step, step)))
            print(step, flush=True)
    except Exception:  # the other one is gone: JAX would wait for it at the exit
        traceback.print_exc()
        os._exit(1)


def main():
    folder, coordinator, number, *kill = sys.argv[1:]
    jax.distributed.initialize(coordinator, num_processes=2, process_id=int(number), heartbeat_timeout_seconds=30)
    host, place = Host(jax.process_index(), jax.process_count()), strategy()
    if kill:
        save_until_killed(Path(folder), host, place)
    for check in (check_moves, check_failures, check_damage, check_order):
        check(Path(folder), host, place)
    check_shared(Path(folder), host)
    assert find_damage(Path(folder) / "order" / "1") is None


if __name__ == "__main__":
    main()
