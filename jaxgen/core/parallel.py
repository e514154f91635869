"""Training steps on many devices.  Each strategy equals one device up to float32 rounding.

    jit    one program for all devices: the batch is sharded, the state is replicated
    fsdp   one program for all devices: networks and optimiser states are sharded too; while a loss is computed each
           device holds the networks whole
    pmap   one program for each device; gradients, statistics and metrics are averaged over devices

In a pmap a loss sees the shard of one device.  Its means, statistics and draws (`draw_batch`) are of the global batch
all the same, but images are chosen and paired within a shard: a penalty on every `one_in`-th image equals that of one
device if the shard's size is a multiple of `one_in`, and style transfer needs an even number of images in each.

Sharded states: Rajbhandari et al. (2020), https://arxiv.org/abs/1910.02054.  Only this module calls pmap, and only it,
`jaxgen.core.batch` and `jaxgen.core.map_rows` create meshes and shardings.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from jaxgen.core.batch import AXIS, use_mesh
from jaxgen.core.rows import place_rows, stored_bytes
from jaxgen.core.step import Step
from jaxgen.core.tree import like, raw
from jaxgen.core.types import Array, PyTree, TrainState
from jaxgen.io.errors import InputError

Device = Any
"""A `jax.Device`, which type checkers take for a variable."""

SMALL = 1024
"""Arrays with fewer elements stay replicated: sharding them saves less than gathering them costs."""

LARGE = 2**30
"""Bytes from which on the devices share the rows of an array of examples.

Compiled for four TPUs v5e, a step that gathers 64 rows of 3,072 bytes takes 10,000 cycles (6 microseconds) more if the
rows are shared, beside the exchange of the batch.  All processes must agree, so that this is no part of a device's
memory, which may differ.
"""

Dispatch = Callable[[TrainState, PyTree, PyTree, Any], tuple[TrainState, PyTree]]
"""(state, rows [N, ...], sharded [n, B, ...], count) -> (state, metrics): many steps as one program."""


def make_mesh(devices: Sequence[Device] | None = None) -> Mesh:
    """A mesh of one axis over the devices (all by default), ordered by process."""
    ordered = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(ordered), (AXIS,), axis_types=(AxisType.Auto,))


def data_parallel(step: Step, mesh: Mesh, *, fsdp: bool = False, batch_axes: Any = 0) -> Step:
    """The step compiled as one program for all devices of a mesh; it donates the state's buffers.

    `batch_axes` is the axis of the batch that is sharded, None for arrays that stay as they lie, or a prefix of its
    tree, as in `jax.vmap`.  `fsdp` shards each large array of the state too, along its longest axis that the number of
    devices divides.
    """
    return _by_jit(step, mesh, (batch_axes,), fsdp=fsdp)


def pmapped(step: Step, devices: Sequence[Device] | None = None, *, batch_axes: Any = 0) -> Step:
    """The step compiled for each device: (state [D, ...], batch [D, B / D, ...]) -> (state [D, ...], metrics).

    `minimize`, `simultaneous` and `batch_norm` average gradients, mutated collections and statistics over the devices;
    metrics are summed here.  `batch_axes` are `jax.pmap`'s in_axes; the state's buffers are donated.
    """
    return _by_pmap(step, devices, (batch_axes,))


def state_sharding(state: PyTree, mesh: Mesh, *, fsdp: bool) -> PyTree:
    """The sharding of each array of a state: replicated, or with `fsdp` sharded if it is large."""

    def longest_axis(shape: tuple[int, ...]) -> int | None:
        axes = [axis for axis, length in enumerate(shape) if length % mesh.size == 0]
        return max(axes, key=lambda axis: shape[axis], default=None) if math.prod(shape) >= SMALL else None

    return jax.tree.map(lambda leaf: _split(mesh, longest_axis(leaf.shape) if fsdp else None), state)


class Strategy(NamedTuple):
    """How programs run on the devices.

    `compile` makes a program of a dispatch, which has the method `lower` of a `jax.jit`.  Of its inputs, `put_state`
    places the state, `put_rows` arrays of examples [N, ...] by name, which `take_rows` reads, and `put_sharded` arrays
    [n, B / P, ...] of this process's rows.  `copies` are those that the devices hold together of an array of examples
    of a number of bytes.  `make_state` places the state that a function gives, which need not fit on one device if the
    strategy shards it.

    A placed state is saved as `stored` gives it, with arrays of its own shapes that stay on the devices; from a file it
    is read onto those that `place` names, and then put.  `fetch` gives a placed state or a part of it as arrays of the
    host.  All processes must make the same calls in the same order.
    """

    devices: int
    compile: Callable[[Dispatch], Dispatch]
    put_state: Callable[[TrainState], TrainState]
    make_state: Callable[[Callable[[], TrainState]], TrainState]
    place: Callable[[TrainState], TrainState]
    stored: Callable[[TrainState], TrainState]
    put_rows: Callable[[Mapping[str, np.ndarray]], dict[str, Array]]
    copies: Callable[[int], int]
    put_sharded: Callable[[PyTree], PyTree]
    fetch: Callable[[PyTree], PyTree]


def by_jit(mesh: Mesh, *, fsdp: bool = False) -> Strategy:
    """One program for all devices of any number of processes."""

    def copies(num_bytes: int) -> int:
        return 1 if num_bytes >= LARGE else mesh.size

    def put_rows(array: np.ndarray) -> Array:
        parts = mesh.size // copies(stored_bytes(array))
        length = -(-len(array) // parts)
        sharding = _split(mesh, 0 if parts > 1 else None)
        return place_rows(array, sharding, starts=range(0, parts * length, length), length=length)

    def put_sharded(tree: PyTree) -> PyTree:
        return jax.tree.map(partial(jax.make_array_from_process_local_data, _split(mesh, 1)), tree)

    def put_state(state: TrainState) -> TrainState:
        shardings = state_sharding(state, mesh, fsdp=fsdp)
        # A program donates the buffers of its state: what lies elsewhere is left alone, what is placed is used up.
        return jax.tree.map(
            lambda leaf, there: leaf if getattr(leaf, "sharding", None) == there else _put(_copy(leaf), there),
            *(state, shardings),
        )

    def make_state(make: Callable[[], TrainState]) -> TrainState:
        # A program rounds otherwise than its operations one by one, so it is used where there is no other way.
        shardings = state_sharding(jax.eval_shape(make), mesh, fsdp=fsdp)
        return jax.jit(make, out_shardings=shardings)() if fsdp else put_state(make())

    return Strategy(
        devices=mesh.size,
        compile=lambda dispatch: _by_jit(dispatch, mesh, (None, 1, None), fsdp=fsdp),
        put_state=put_state,
        make_state=make_state,
        place=lambda state: _placed(state, state_sharding(state, mesh, fsdp=fsdp)),
        stored=lambda state: state,
        put_rows=lambda arrays: {name: put_rows(array) for name, array in arrays.items()},
        copies=copies,
        put_sharded=put_sharded,
        fetch=partial(_fetch, jax.jit(lambda tree: tree, out_shardings=_split(mesh, None))),
    )


def by_pmap(devices: Sequence[Device]) -> Strategy:
    """One program for each device of one process."""
    count = len(devices)
    each = NamedSharding(make_mesh(devices), PartitionSpec(AXIS))

    def replicate(tree: PyTree) -> PyTree:
        copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), tree)
        return jax.device_put(copies, each)

    def put_rows(array: np.ndarray) -> Array:
        return place_rows(array, each, starts=[0] * count, length=len(array), stacked=True)

    def put_sharded(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda array: array.reshape(len(array), count, -1, *array.shape[2:]), tree)

    def fetch(tree: PyTree) -> PyTree:
        return _by_words(lambda leaf: np.array(leaf.addressable_data(0)).reshape(leaf.shape[1:]), tree)

    def place(state: TrainState) -> TrainState:
        return _placed(state, jax.tree.map(lambda _: SingleDeviceSharding(devices[0]), state))

    def stored(state: TrainState) -> TrainState:
        return _by_words(lambda leaf: leaf.addressable_data(0).reshape(leaf.shape[1:]), state)

    return Strategy(
        devices=count,
        compile=lambda dispatch: _by_pmap(dispatch, devices, (0, 1, None)),
        put_state=replicate,
        make_state=lambda make: replicate(make()),
        place=place,
        stored=stored,
        put_rows=lambda arrays: {name: put_rows(array) for name, array in arrays.items()},
        copies=lambda _: count,
        put_sharded=put_sharded,
        fetch=fetch,
    )


def require_divisible(batch_size: int, devices: int) -> None:
    """Refuses a batch that does not divide over the devices.

    Raises:
      InputError: naming the nearest sizes that do.
    """
    below = batch_size // devices * devices
    if below != batch_size:
        nearest = " and ".join(str(size) for size in (below, below + devices) if size)
        those = "do are" if below else "does is"
        raise InputError(
            f"--batch-size {batch_size} does not divide over {devices} devices; the nearest that {those} {nearest}."
        )


def _by_jit(program: Callable[..., Any], mesh: Mesh, axes: tuple[Any, ...], *, fsdp: bool) -> Callable[..., Any]:
    """(state, *arguments) -> (state, metrics) as one program for all devices; `axes` are sharded, one per argument."""

    def split(axis: int | None, part: PyTree) -> PyTree:
        return part if axis is None else jax.lax.with_sharding_constraint(part, _split(mesh, axis))

    def shard_state(tree: PyTree) -> PyTree:
        return jax.lax.with_sharding_constraint(tree, state_sharding(tree, mesh, fsdp=fsdp))

    def sharded_step(state: TrainState, *arguments: PyTree) -> tuple[TrainState, PyTree]:
        with use_mesh(mesh, shard_state if fsdp else None):
            state, metrics = program(state, *jax.tree.map(split, axes, arguments, is_leaf=lambda axis: axis is None))
        return shard_state(state), jax.lax.with_sharding_constraint(metrics, _split(mesh, None))

    return jax.jit(sharded_step, donate_argnums=0)


def _by_pmap(
    program: Callable[..., Any], devices: Sequence[Device] | None, axes: tuple[Any, ...]
) -> Callable[..., Any]:
    """(state, *arguments) -> (state, metrics) as a program for each device; `axes` are mapped, one per argument."""

    def device_step(state: TrainState, *arguments: PyTree) -> tuple[TrainState, PyTree]:
        state, metrics = program(state, *arguments)
        return state, jax.lax.psum(metrics, AXIS)

    return jax.pmap(  # pyright: ignore[reportReturnType]
        device_step, AXIS, in_axes=(0, *axes), out_axes=(0, None), devices=devices, donate_argnums=0
    )


def _split(mesh: Mesh, axis: int | None) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, AXIS))


def _copy(leaf: Array | np.ndarray) -> Array:
    return jnp.array(leaf, copy=True)


def _placed(state: TrainState, shardings: PyTree) -> TrainState:
    """The shapes and types of a state, with shardings."""
    return jax.tree.map(
        lambda leaf, there: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=there), state, shardings
    )


def _put(tree: PyTree, shardings: PyTree) -> PyTree:
    if jax.process_count() == 1:
        return jax.device_put(tree, shardings)

    def put(leaf: Array | np.ndarray, sharding: NamedSharding) -> Array:
        host = np.asarray(raw(leaf))
        return like(leaf, jax.make_array_from_callback(host.shape, sharding, lambda index: host[index]))

    return jax.tree.map(put, tree, shardings)


def _fetch(gather: Callable[[PyTree], PyTree], tree: PyTree) -> PyTree:
    if not all(leaf.is_fully_addressable or leaf.is_fully_replicated for leaf in jax.tree.leaves(tree)):
        tree = gather(tree)
    return _by_words(np.array, tree)  # copies: the next dispatch uses the memory again


def _by_words(get: Callable[[Array], Array | np.ndarray], tree: PyTree) -> PyTree:
    """The tree with a function applied to each array, to keys as their raw words."""
    return jax.tree.map(lambda leaf: like(leaf, get(raw(leaf))), tree)
