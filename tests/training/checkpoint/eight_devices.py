"""Checkpoints on many devices.  Run by test_sharded.py in a process that simulates eight."""

import json
import math

import jax
import jax.numpy as jnp
import pytest

from jaxgen.core.parallel import by_pmap
from jaxgen.training import array_shards
from jaxgen.training.checkpoint import Checkpoints, find_damage, flatten
from tests.training.checkpoint.sharded_states import W, assert_same_bits, large, restored, strategy
from tests.training.checkpoint.states import quiet

PLACES = {
    "fsdp on 8": strategy(8),
    "fsdp on 4": strategy(4),
    "fsdp on 2": strategy(2),
    "jit on 8": strategy(8, fsdp=False),
    "pmap": by_pmap(jax.devices()),
    "one device": strategy(1),
}


@pytest.mark.parametrize("saved_on", PLACES)
def test_a_state_moves_from_any_devices_to_any_others(tmp_path, saved_on):
    source = PLACES[saved_on]
    Checkpoints(tmp_path).save(source.stored(source.put_state(large(1, 5))))
    assert find_damage(tmp_path / "5") is None
    for place in PLACES.values():
        state = restored(tmp_path, place, quiet)
        assert_same_bits(state, large(1, 5))
        assert_same_bits(place.stored(place.put_state(state)), large(1, 5))


def test_no_device_holds_more_than_its_shards(tmp_path):
    place = strategy()
    Checkpoints(tmp_path).save(place.put_state(large(1, 5)))
    state = restored(tmp_path, place, quiet)
    (w, put) = (flatten(one)[f"{W}.w"] for one in (state, place.put_state(state)))
    assert {shard.device for shard in w.addressable_shards} == set(jax.devices())
    assert all(shard.data.size == 4096 // 8 for shard in w.addressable_shards)
    assert put is w  # not copied


def test_the_shards_are_read_back(tmp_path, monkeypatch):
    sizes, read = [], array_shards.read

    def recorded(folder, targets, **others):
        sizes.append({name: leaf.nbytes for name, leaf in targets.items()})
        return read(folder, targets, **others)

    monkeypatch.setattr(array_shards, "read", recorded)
    monkeypatch.setattr(array_shards, "READ_BACK_BYTES", 4096 * 4)
    Checkpoints(tmp_path).save(strategy().put_state(large(1, 5)))
    assert len(sizes) > 1
    assert all(sum(part.values()) <= 4096 * 4 or len(part) == 1 for part in sizes)
    names = json.loads((tmp_path / "5" / "manifest.json").read_text())["content"]["leaves"]
    assert sorted(name for part in sizes for name in part) == sorted(names)
    assert f"{W}.w" in names


def test_a_state_that_fsdp_makes_is_never_whole_on_a_device():
    def make():
        moments = {"m": jax.random.uniform(jax.random.key(0), (8, 8192)), "v": jnp.ones((64, 64))}
        return large(1, 0)._replace(opt_state=moments)

    expected, place = make(), strategy()
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(expected.opt_state))
    before = jax.live_arrays()
    state = place.make_state(make)
    held = live_bytes(besides=before)
    assert all(held[device] < whole // 8 + 20_000 for device in jax.devices()), held
    m = state.opt_state["m"]
    assert m.addressable_shards[0].data.size == m.size // 8
    assert_same_bits(state, expected)


def live_bytes(besides):
    """The bytes of arrays on each device, without those of some arrays."""
    held, known = dict.fromkeys(jax.devices(), 0), set(map(id, besides))
    for array in jax.live_arrays():
        if id(array) not in known:
            for device in array.sharding.addressable_devices:
                held[device] += math.prod(array.sharding.shard_shape(array.shape)) * array.dtype.itemsize
    return held
