"""What is saved comes back bit for bit, or something says that it does not."""

import json
import pickle
import shutil
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.io.errors import InputError
from jaxgen.training import array_shards
from jaxgen.training.checkpoint import Checkpoints, Retention, flatten, read_networks, unflatten
from tests.training.checkpoint.states import assert_restored, contents, counted, files, quiet, raw, state, with_w


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


def test_a_checkpoint_that_an_earlier_version_wrote_is_read(tmp_path):
    # Its arrays were written from NumPy by one process, whatever the devices.
    shutil.unpack_archive(Path(__file__).parent / "written_from_numpy.zip", tmp_path)
    expected = counted(state(seed=2, step=2))
    assert_restored(tmp_path, expected)
    expected = {name: leaf for name, leaf in flatten(expected).items() if name.startswith("networks.")}
    there = {f"networks.{name}": leaf for name, leaf in read_networks(tmp_path / "2").items()}
    chex.assert_trees_all_equal(there, expected)


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
    for name in ("write", "merge", "require_written"):
        monkeypatch.setattr(array_shards, name, lambda *arguments: None)
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
def test_a_checkpoint_that_does_not_fit_is_refused_by_its_leaf_and_left_alone(tmp_path, saved, target, difference):
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


def test_what_orbax_cannot_read_is_reported_in_one_line(folder, monkeypatch):
    def fail(*arguments):
        raise ValueError("unknown format\nmore")

    monkeypatch.setattr(array_shards, "read", fail)
    with pytest.raises(InputError, match=r"cannot be read \(unknown format\): install orbax-checkpoint \d") as error:
        Checkpoints(folder).restore(state(), quiet)
    assert "\n" not in str(error.value)
    assert Checkpoints(folder).steps() == [1, 2]
