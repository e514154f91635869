"""Checkpoints: what is saved comes back bit for bit, or something says that it does not."""

import errno
import json
import logging
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import TrainState, chain, checkpoint, ema, init_state, minimize
from jaxgen.checkpoint import Checkpoints, Retention, find_damage, flatten, unflatten
from jaxgen.command import command
from jaxgen.errors import InputError, OutsideError
from tests import toys
from tests.programs import ROOT

UPDATE = chain(
    g=minimize(toys.generate, optax.chain(optax.clip(1.0), optax.adam(0.1)), wrt="generator"),
    average=ema("generator", into="mean", decay=0.9),
)


@cache
def begun(seed) -> TrainState:
    return init_state(UPDATE, toys.networks(seed), jax.random.key(seed), toys.batch())


def state(seed=0, step=0) -> TrainState:
    return begun(seed)._replace(step=jnp.int32(step))


def with_w(state, w):
    """The state with another weight in its generator."""
    return state._replace(networks={**state.networks, "generator": {"params": {"w": w}}})


def raw(state):
    return state._replace(key=jax.random.key_data(state.key))


def quiet(line):
    raise AssertionError(line)


def assert_restored(folder, expected):
    """The newest checkpoint is sound and gives this state, bit for bit."""
    restored = Checkpoints(folder).restore(state(seed=9), quiet)
    chex.assert_trees_all_equal(raw(restored), raw(expected))
    chex.assert_trees_all_equal_shapes_and_dtypes(raw(restored), raw(expected))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Checkpoints of steps 1 and 2, of different states; to be copied."""
    folder = tmp_path_factory.mktemp("two")
    Checkpoints(folder).save(state(seed=1, step=1))
    Checkpoints(folder).save(state(seed=2, step=2))
    return folder


@pytest.fixture
def folder(two, tmp_path):
    return shutil.copytree(two, tmp_path / "checkpoints")


# What is restored


def test_a_state_is_its_leaves_by_name():
    flat = flatten(state())
    assert {"step", "key", "networks.mean.params.w"} <= flat.keys()
    chex.assert_trees_all_equal(raw(unflatten(flat, state(seed=1))), raw(state()))


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
@pytest.mark.parametrize("abstract", [False, True], ids=["arrays", "shapes"])
def test_what_is_restored_is_what_was_saved(tmp_path, impl, abstract):
    saved = state(step=5)._replace(key=jax.random.key(3, impl=impl))
    target = state(seed=1)._replace(key=jax.random.key(0, impl=impl))
    Checkpoints(tmp_path / "c").save(saved)
    restored = Checkpoints(tmp_path / "c").restore(jax.eval_shape(lambda: target) if abstract else target, quiet)
    chex.assert_trees_all_equal(raw(restored), raw(saved))
    chex.assert_trees_all_equal_shapes_and_dtypes(raw(restored), raw(saved))
    assert jax.random.key_impl(restored.key) == jax.random.key_impl(saved.key)
    assert all(isinstance(leaf, jax.Array) and not leaf.committed for leaf in jax.tree.leaves(restored))


@pytest.mark.parametrize(
    "w",
    [
        np.float32([np.nan, -0.0, np.inf]),
        jnp.bfloat16([1, 2]),
        jnp.zeros((0, 3), jnp.int8),
        np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        jnp.array(True),
        jax.random.split(jax.random.key(1), 3),
    ],
    ids=["not finite", "bfloat16", "empty", "by columns", "scalar", "keys"],
)
def test_every_kind_of_leaf_comes_back_bit_for_bit(tmp_path, w):
    saved = with_w(state(step=1), w)
    Checkpoints(tmp_path).save(saved)
    restored = Checkpoints(tmp_path).restore(with_w(state(), w), quiet)
    for name, leaf in flatten(saved).items():
        back, sent = np.asarray(flatten(restored)[name]), np.asarray(leaf)
        assert (back.dtype, back.shape, back.tobytes()) == (sent.dtype, sent.shape, sent.tobytes())


def test_a_state_on_the_host_is_saved_too(tmp_path):
    saved = state(step=1)
    Checkpoints(tmp_path).save(jax.device_get(raw(saved))._replace(key=saved.key))
    assert_restored(tmp_path, saved)


def test_where_nothing_was_saved_there_is_nothing(tmp_path):
    assert Checkpoints(tmp_path / "none").steps() == []
    assert Checkpoints(tmp_path / "none").restore(state(), quiet) is None
    Checkpoints(tmp_path).save(state(step=5))
    assert Checkpoints(tmp_path).restore(state(), quiet, before=4) is None


def test_the_newest_at_or_before_a_step_is_restored(tmp_path):
    checkpoints = Checkpoints(tmp_path, Retention(last=3))
    for step in (1, 5, 10):
        checkpoints.save(state(seed=step, step=step))
    for before, step in [(None, 10), (10, 10), (9, 5), (5, 5), (1, 1)]:
        assert int(checkpoints.restore(state(), quiet, before=before).step) == step


def test_nothing_is_pickled(folder, monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "Unpickler", "dump", "dumps", "Pickler"):
        monkeypatch.setattr(pickle, name, refuse)
    Checkpoints(folder).save(state(seed=3, step=3))
    assert_restored(folder, state(seed=3, step=3))
    assert not [file for file, content in contents(folder).items() if content.startswith(b"\x80")]


def test_the_manifest_says_what_was_saved_and_by_what(folder):
    content = json.loads((folder / "2" / "manifest.json").read_text())["content"]
    assert content["step"] == 2
    assert (
        content["leaves"].items()
        >= {"step": "int32[]", "key": "key<fry>[]", "networks.mean.params.w": "float32[3]"}.items()
    )
    assert {"jaxgen", "jax", "orbax-checkpoint", "numpy"} <= content["versions"].keys()
    assert content["devices"] == [device.device_kind for device in jax.devices()]
    assert content["processes"] == 1
    assert sorted([*content["files"], "manifest.json"]) == [path.as_posix() for path in files(folder / "2")]


# Which are kept


@pytest.mark.parametrize(
    ("retention", "protect", "kept"),
    [
        (Retention(), None, [6, 7]),
        (Retention(last=1), None, [7]),
        (Retention(last=6), None, [2, 3, 4, 5, 6, 7]),
        (Retention(last=9), None, [1, 2, 3, 4, 5, 6, 7]),
        (Retention(last=1, every=3), None, [3, 6, 7]),
        (Retention(last=1), 3, [3, 7]),
        (Retention(last=2, every=5), 2, [2, 5, 6, 7]),
        (Retention(last=1), 0, [7]),
    ],
)
def test_the_newest_the_regular_and_the_protected_are_kept(tmp_path, monkeypatch, retention, protect, kept):
    # What is in a checkpoint makes no difference here, and writing one takes a while.
    monkeypatch.setattr(checkpoint, "_write_arrays", lambda folder, arrays: folder.mkdir())
    checkpoints = Checkpoints(tmp_path, retention)
    for step in range(1, 8):
        checkpoints.save(state(step=step), protect=protect)
    assert checkpoints.steps() == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(step) for step in kept]


def test_the_protected_is_the_newest_at_or_before_the_step(tmp_path):
    checkpoints = Checkpoints(tmp_path, Retention(last=1))
    for step in (10, 20, 30, 40):
        checkpoints.save(state(step=step), protect=25)
    assert checkpoints.steps() == [20, 40]


def test_saving_a_step_again_changes_nothing(folder):
    before = contents(folder)
    Checkpoints(folder).save(state(seed=5, step=2))
    assert contents(folder) == before


def test_saving_a_damaged_step_again_replaces_it(folder):
    (folder / "2" / "manifest.json").write_text("{}")
    Checkpoints(folder).save(state(seed=5, step=2))
    assert_restored(folder, state(seed=5, step=2))


def test_rewinding_makes_a_state_the_newest(folder):
    Checkpoints(folder).rewind(state(seed=5, step=1))
    assert Checkpoints(folder).steps() == [1]
    assert_restored(folder, state(seed=5, step=1))


# What does not fit


W, MEAN = "networks.generator.params.w", "networks.mean.params.w"


def without_mean(state):
    return state._replace(networks={name: state.networks[name] for name in ("generator", "discriminator")})


def as_it_is(state):
    return state


@pytest.mark.parametrize(
    ("saved", "target", "difference"),
    [
        (as_it_is, lambda s: with_w(s, jnp.zeros(4)), f"{W} is float32[3] there and float32[4] here"),
        (as_it_is, lambda s: with_w(s, jnp.bfloat16([1, 2, 3])), f"{W} is float32[3] there and bfloat16[3] here"),
        (lambda s: with_w(s, np.zeros(3)), as_it_is, f"{W} is float64[3] there and float32[3] here"),
        (lambda s: with_w(s, {"a": s.step}), as_it_is, f"{W} is absent there and float32[3] here"),
        (without_mean, as_it_is, f"{MEAN} is absent there and float32[3] here"),
        (as_it_is, without_mean, f"{MEAN} is float32[3] there and absent here"),
        (
            as_it_is,
            lambda s: s._replace(key=jax.random.key(0, impl="rbg")),
            "key is key<fry>[] there and key<rbg>[] here",
        ),
        (as_it_is, lambda s: s._replace(key=jnp.uint32([0, 1])), "key is key<fry>[] there and uint32[2] here"),
        (as_it_is, lambda s: s._replace(opt_state=()), "there and absent here"),
    ],
    ids=["shape", "type", "precision", "structure", "network absent", "network extra", "keys", "no key", "optimiser"],
)
def test_a_checkpoint_that_does_not_fit_is_told_by_its_leaf_and_left_alone(tmp_path, saved, target, difference):
    Checkpoints(tmp_path).save(saved(state(step=1)))
    before = contents(tmp_path)
    with pytest.raises(InputError, match=rf"checkpoint of step 1 in .*{tmp_path.name}: ") as error:
        Checkpoints(tmp_path).restore(target(state()), quiet)
    assert difference in str(error.value)
    assert "\n" not in str(error.value)
    assert contents(tmp_path) == before


def test_leaves_of_another_type_are_never_cast():
    flat = flatten(state())
    for wrong in (jnp.int32([1, 2, 3]), jnp.zeros(4), np.zeros(3)):
        with pytest.raises(InputError, match=r"networks\.mean\.params\.w is .* here"):
            unflatten({**flat, "networks.mean.params.w": wrong}, state())
    with pytest.raises(InputError, match="other is float32"):
        unflatten({**flat, "other": jnp.zeros(3)}, state())


@pytest.mark.skipif(jax.config.jax_enable_x64, reason="JAX has float64 here")
def test_a_leaf_that_jax_would_cast_is_refused(tmp_path):
    target = with_w(state(step=1), np.full(3, 0.1))
    Checkpoints(tmp_path).save(target)
    with pytest.raises(InputError, match=r"w is float32\[3\] there and float64\[3\] here"):
        Checkpoints(tmp_path).restore(target, quiet)


def test_two_leaves_with_one_path_are_refused():
    networks = {"a.b": {"params": {"w": jnp.zeros(1)}}, "a": {"b": {"params": {"w": jnp.ones(1)}}}}
    with pytest.raises(InputError, match="the same path"):
        flatten(state()._replace(networks=networks))


def test_what_orbax_cannot_read_is_told_in_one_line(folder, monkeypatch):
    def fail(*arguments):
        raise ValueError("unknown format\nmore")

    monkeypatch.setattr(checkpoint, "_read_arrays", fail)
    with pytest.raises(InputError, match=r"cannot be read \(unknown format\): install orbax-checkpoint \d") as error:
        Checkpoints(folder).restore(state(), quiet)
    assert "\n" not in str(error.value)
    assert Checkpoints(folder).steps() == [1, 2]


# What is damaged


def delete(path):
    path.unlink()


def truncate(path):
    os.truncate(path, path.stat().st_size - 1)


def empty(path):
    os.truncate(path, 0)


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\n")


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {delete: "missing", truncate: "truncated", empty: "truncated", lengthen: "changed", flip: "changed"}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_to_any_file_is_found_and_the_checkpoint_before_is_restored(two, tmp_path, damage):
    for number, name in enumerate(files(two / "2")):
        folder = shutil.copytree(two, tmp_path / str(number))
        damage(folder / "2" / name)
        found = find_damage(folder / "2")
        assert found.startswith(name.as_posix())
        assert DAMAGES[damage] in found
        told = []
        restored = Checkpoints(folder).restore(state(), told.append)
        chex.assert_trees_all_equal(raw(restored), raw(state(seed=1, step=1)))
        (line,) = told
        assert line == f"The checkpoint of step 2 in {folder} is damaged: {found}. It is now 2.damaged."
        assert sorted(path.name for path in folder.iterdir()) == ["1", "2.damaged"]
        assert_restored(folder, state(seed=1, step=1))


def some(number, most=80):
    """Numbers below a number, at random but always the same."""
    return np.random.default_rng(0).choice(number, min(number, most), replace=False)


def test_a_flip_of_any_bit_is_found(two, tmp_path):
    folder = shutil.copytree(two / "2", tmp_path / "2")
    for name in files(folder):
        whole = (folder / name).read_bytes()
        for bit in some(8 * len(whole), most=800 if name.name == "manifest.json" else 80):  # it judges the others
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            (folder / name).write_bytes(damaged)
            assert find_damage(folder), (name, bit)
        (folder / name).write_bytes(whole)
    assert find_damage(folder) is None


def test_a_cut_at_any_place_is_found(two, tmp_path):
    folder = shutil.copytree(two / "2", tmp_path / "2")
    for name in files(folder):
        whole = (folder / name).read_bytes()
        for length in some(len(whole)):
            (folder / name).write_bytes(whole[:length])
            assert find_damage(folder), (name, length)
        (folder / name).write_bytes(whole)
    assert find_damage(folder) is None


@pytest.mark.parametrize(
    "manifest", ["", "{}", "[]", "3", "null", '"content"', '{"content": {}, "sha256": ""}', "\xff"]
)
def test_a_manifest_that_is_none_is_damage(folder, manifest):
    (folder / "2" / "manifest.json").write_text(manifest, encoding="latin-1")
    assert find_damage(folder / "2") == "manifest.json is changed or truncated"


def test_a_manifest_with_another_content_and_the_old_digest_is_damage(folder):
    manifest = json.loads((folder / "2" / "manifest.json").read_text())
    manifest["content"]["files"] = {}
    (folder / "2" / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True))
    assert find_damage(folder / "2") == "manifest.json is changed or truncated"


def test_files_of_another_checkpoint_are_damage(folder):
    shutil.rmtree(folder / "2" / "arrays")
    shutil.copytree(folder / "1" / "arrays", folder / "2" / "arrays")
    assert find_damage(folder / "2")


def test_a_file_that_is_not_listed_is_damage_among_the_arrays_and_none_beside_them(folder):
    (folder / "2" / "notes.txt").write_text("the best so far")
    assert find_damage(folder / "2") is None
    (folder / "2" / "arrays" / "d" / "more").write_text("")
    assert find_damage(folder / "2") == "arrays/d/more is not listed"


def test_folders_in_the_place_of_files_are_damage(folder):
    for name in files(folder / "2"):
        copy = shutil.copytree(folder / "2", folder / "copy")
        (copy / name).unlink()
        (copy / name).mkdir()
        assert find_damage(copy) == f"{name.as_posix()} is missing"
        shutil.rmtree(copy)


def test_a_file_that_the_disk_has_lost_is_damage_and_one_that_is_forbidden_is_none(folder, monkeypatch):
    def fail(number):
        def digest(path):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(checkpoint, "_digest", digest)

    fail(errno.EIO)
    assert "cannot be read" in find_damage(folder / "2")
    fail(errno.EACCES)
    with pytest.raises(PermissionError):
        Checkpoints(folder).restore(state(), quiet)
    assert Checkpoints(folder).steps() == [1, 2]


def test_where_all_are_damaged_a_run_does_not_begin_anew(folder):
    for step in (1, 2):
        flip(folder / str(step) / "manifest.json")
    told = []
    with pytest.raises(InputError, match="holds no sound checkpoint: start over with --no-resume"):
        Checkpoints(folder).restore(state(), told.append)
    assert len(told) == 2
    with pytest.raises(InputError, match="holds no sound checkpoint: start over with --no-resume"):
        Checkpoints(folder).restore(state(), quiet)


def test_a_step_may_be_damaged_more_than_once(folder):
    for name in ("2.damaged", "2.damaged.1", "2.damaged.2"):
        flip(folder / "2" / "manifest.json")
        Checkpoints(folder).restore(state(), lambda line, name=name: None if name in line else quiet(line))
        assert (folder / name / "manifest.json").exists()
        Checkpoints(folder).save(state(seed=2, step=2))


# What goes wrong in saving


def assert_kept(folder, before):
    """The folder holds what it held, and nothing of what could not be saved."""
    assert contents(folder) == before
    assert not [path for path in folder.iterdir() if not path.name.isdecimal()]
    assert_restored(folder, state(seed=2, step=2))


def fail_to_save(folder, save, why):
    """Saves; returns what is told."""
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
        told = fail_to_save(folder, save, "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.endswith(": File too large.")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert_kept(folder, before)


@SAVES
@pytest.mark.parametrize("after", ["_write_arrays", "_write_manifest", "_array_files", "_digest"])
def test_a_disk_that_is_full_at_any_time_leaves_the_checkpoints_as_they_were(folder, monkeypatch, save, after):
    do, before = getattr(checkpoint, after), contents(folder)

    def fill(*arguments):
        do(*arguments)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "manifest.json")

    monkeypatch.setattr(checkpoint, after, fill)
    fail_to_save(folder, save, r"No space left on device\.$")
    monkeypatch.undo()
    assert_kept(folder, before)


CRAMPED = """
import os, resource, sys
import pytest
from tests.test_checkpoint import Checkpoints, OutsideError, Path, state
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
    read, before = checkpoint._read_arrays, contents(folder)

    def misread(*arguments):
        return {**read(*arguments), "step": np.int32(4)}

    monkeypatch.setattr(checkpoint, "_read_arrays", misread)
    fail_to_save(folder, Checkpoints.save, "what is read back is not what was written")
    monkeypatch.undo()
    assert_kept(folder, before)


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    fail_to_save(tmp_path / "file" / "checkpoints", Checkpoints.save, r"Not a directory\.$")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc to write in vain")
def test_a_read_only_folder_is_told_in_one_line():
    fail_to_save(Path("/proc/self/checkpoints"), Checkpoints.save, "")


def test_an_interrupt_leaves_no_half_written_step(folder, monkeypatch):
    before = contents(folder)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "_write_manifest", interrupt)
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
from jaxgen.checkpoint import Checkpoints
from tests.test_checkpoint import Path, state
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


# What a program says


@pytest.mark.parametrize(
    ("error", "told", "code"),
    [
        (OutsideError("The disk is full."), "error: The disk is full.\n", 1),
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "error: /a/b: No space left on device\n", 1),
        (OSError(errno.ENOSPC, "No space left on device"), "error: No space left on device\n", 1),
        (OSError("it broke\nbadly"), "error: it broke\n", 1),
        (InputError("--steps 0: expected 1."), "error: --steps 0: expected 1.\n", 2),
    ],
)
def test_a_program_tells_what_went_wrong_in_one_line(capsys, error, told, code):
    def main():
        raise error

    with pytest.raises(SystemExit) as stop:
        command(main)
    assert stop.value.code == code
    assert capsys.readouterr().err == told
