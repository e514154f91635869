"""The batch over devices, as a step sees it.

    jit     one program for all devices sees the global batch [B, ...]; random arrays need a sharding
    pmap    the program of one device sees its shard [B / D, ...]: a mean over the batch is one over devices too, and
            random arrays are drawn for the global batch, then sharded

On one device, sharding, gathering and averaging over devices do nothing, so that the same loss runs in all cases.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgen.core.types import Array, PyTree

AXIS = "jaxgen_devices"
"""The axis of a mesh or of a pmap over which a batch is sharded."""

_mesh: ContextVar[Mesh | None] = ContextVar("mesh", default=None)
_shard_state: ContextVar[Callable[[PyTree], PyTree] | None] = ContextVar("shard_state", default=None)


@contextmanager
def use_mesh(mesh: Mesh, shard_state: Callable[[PyTree], PyTree] | None = None) -> Iterator[None]:
    """Steps that are traced in this context are programs for all devices of the mesh.

    Where each device holds a shard of the state, `shard_state` constrains a tree of the state's arrays to its shards.
    """
    tokens = _mesh.set(mesh), _shard_state.set(shard_state)
    try:
        yield
    finally:
        _mesh.reset(tokens[0])
        _shard_state.reset(tokens[1])


def devices() -> int:
    """The number of devices that hold shards of the batch that the program sees one shard of: 1 outside a pmap."""
    try:
        return jax.lax.psum(1, AXIS)
    except NameError:  # what JAX raises where there is no such axis
        return 1


def draw_batch(draw: Callable[[Array, tuple[int, ...]], Array], key: Array, shape: tuple[int, ...]) -> Array:
    """The device's shard [B, ...] of an array that `draw(key, shape)` draws for the global batch.

    `shape` is the shard's, so that the number of devices changes no draw.

    >>> draw_batch(jax.random.normal, jax.random.key(0), (4, 2)).shape
    (4, 2)
    """
    return shard_batch(draw(key, (devices() * shape[0], *shape[1:])))


def shard_batch(array: Array) -> Array:
    """The device's shard [B, ...] of an array [devices() * B, ...] of the global batch."""
    if (mesh := _mesh.get()) is not None:
        return jax.lax.with_sharding_constraint(array, NamedSharding(mesh, PartitionSpec(AXIS)))
    count = devices()
    if count == 1:
        return array
    return array.reshape(count, -1, *array.shape[1:])[jax.lax.axis_index(AXIS)]


def gather_batch(array: Array) -> Array:
    """The global batch's array [devices() * B, ...] from each device's shard [B, ...]."""
    return array if devices() == 1 else jax.lax.all_gather(array, AXIS, tiled=True)


def next_examples(array: Array) -> Array:
    """The global batch rolled by one: for each example of a shard [B, ...] the next one, for the last the first."""
    rolled = jnp.roll(gather_batch(array), -1, axis=0)
    return rolled if devices() == 1 else shard_batch(rolled)


def replicate(tree: PyTree) -> PyTree:
    """The tree with each array replicated on every device, gathered if the devices hold shards of it."""
    if (mesh := _mesh.get()) is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec()))


def gather_networks(networks: PyTree) -> PyTree:
    """Networks, gathered on each device if the devices hold shards of them, as every loss reads them.

    A compiler that may choose gathers activations instead, whose size grows with the batch.
    """
    return networks if _shard_state.get() is None else replicate(networks)


def scatter_gradients(gradients: PyTree) -> PyTree:
    """Gradients as every optimiser reads them: of its shard of the parameters, if a device holds one."""
    shard_state = _shard_state.get()
    # Replicated first: the sharding would otherwise spread backwards into the loss, and gather its activations.
    return gradients if shard_state is None else shard_state(replicate(gradients))


def mean_over_devices(tree: PyTree) -> PyTree:
    """The mean of each floating-point leaf over the devices of a pmap; other leaves are equal on all of them."""
    if devices() == 1:
        return tree
    return jax.tree.map(
        lambda leaf: jax.lax.pmean(leaf, AXIS) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf, tree
    )
