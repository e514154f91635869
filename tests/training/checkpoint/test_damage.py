"""Damage to any file is found, and the checkpoint before is restored."""

import errno
import json
import os
import shutil

import chex
import numpy as np
import pytest

from jaxgen.io.errors import InputError
from jaxgen.training import manifest
from jaxgen.training.checkpoint import Checkpoints
from jaxgen.training.manifest import find_damage
from tests.training.checkpoint.states import assert_restored, files, flip, quiet, raw, state


def delete(path):
    path.unlink()


def truncate(path):
    os.truncate(path, path.stat().st_size - 1)


def empty(path):
    os.truncate(path, 0)


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\n")


DAMAGES = {delete: "missing", truncate: "truncated", empty: "truncated", lengthen: "changed", flip: "changed"}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_to_any_file_is_found_and_the_checkpoint_before_is_restored(two, tmp_path, damage):
    for number, name in enumerate(files(two / "2")):
        folder = shutil.copytree(two, tmp_path / str(number))
        damage(folder / "2" / name)
        found = find_damage(folder / "2")
        assert found.startswith(name.as_posix())
        assert DAMAGES[damage] in found
        lines = []
        restored = Checkpoints(folder).restore(state(), lines.append)
        chex.assert_trees_all_equal(raw(restored), raw(state(seed=1, step=1)))
        (line,) = lines
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
        for bit in some(8 * len(whole), most=800 if name.name == "manifest.json" else 80):  # the record of the others
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


@pytest.mark.parametrize("content", ["", "{}", "[]", "3", "null", '"content"', '{"content": {}, "sha256": ""}', "\xff"])
def test_a_manifest_that_is_none_is_damage(folder, content):
    (folder / "2" / "manifest.json").write_text(content, encoding="latin-1")
    assert find_damage(folder / "2") == "manifest.json is changed or truncated"


def test_a_manifest_with_another_content_and_the_old_digest_is_damage(folder):
    signed = json.loads((folder / "2" / "manifest.json").read_text())
    signed["content"]["files"] = {}
    (folder / "2" / "manifest.json").write_text(json.dumps(signed, indent=1, sort_keys=True))
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

        monkeypatch.setattr(manifest, "digest", digest)

    fail(errno.EIO)
    assert "cannot be read" in find_damage(folder / "2")
    fail(errno.EACCES)
    with pytest.raises(PermissionError):
        Checkpoints(folder).restore(state(), quiet)
    assert Checkpoints(folder).steps() == [1, 2]


def test_where_all_are_damaged_a_run_does_not_begin_anew(folder):
    for step in (1, 2):
        flip(folder / str(step) / "manifest.json")
    lines = []
    with pytest.raises(InputError, match="holds no intact checkpoint: start over with --no-resume"):
        Checkpoints(folder).restore(state(), lines.append)
    assert len(lines) == 2
    with pytest.raises(InputError, match="holds no intact checkpoint: start over with --no-resume"):
        Checkpoints(folder).restore(state(), quiet)


def test_a_step_may_be_damaged_more_than_once(folder):
    for name in ("2.damaged", "2.damaged.1", "2.damaged.2"):
        flip(folder / "2" / "manifest.json")
        Checkpoints(folder).restore(state(), lambda line, name=name: None if name in line else quiet(line))
        assert (folder / name / "manifest.json").exists()
        Checkpoints(folder).save(state(seed=2, step=2))
