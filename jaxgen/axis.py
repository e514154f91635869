"""How many devices share a batch, as seen from inside a step.

    jit     the program is that of all devices and sees whole batches [B, ...]; XLA must be told to split what is drawn
    pmap    the program is that of one device and sees its share [B / D, ...]: a mean over the batch must be one over
            devices too, and what is drawn must be drawn for the whole batch

On one device everything here is the identity, so that one loss serves all three.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgen.types import Array, PyTree

AXIS = "jaxgen_devices"
"""The axis of a mesh or of a pmap over which a batch is split."""

_mesh: ContextVar[Mesh | None] = ContextVar("mesh", default=None)


@contextmanager
def over(mesh: Mesh) -> Iterator[None]:
    """While a step is traced here, it is one for all devices of a mesh."""
    token = _mesh.set(mesh)
    try:
        yield
    finally:
        _mesh.reset(token)


def devices() -> int:
    """How many devices share the batch of which the program sees one share: 1 outside a pmap."""
    try:
        return jax.lax.psum(1, AXIS)
    except NameError:  # no such axis: how JAX tells it
        return 1


def own_share(array: Array) -> Array:
    """The share in an array [devices() * B, ...], drawn for the whole batch, of the program: [B, ...]."""
    if (mesh := _mesh.get()) is not None:
        return jax.lax.with_sharding_constraint(array, NamedSharding(mesh, PartitionSpec(AXIS)))
    count = devices()
    if count == 1:
        return array
    return array.reshape(count, -1, *array.shape[1:])[jax.lax.axis_index(AXIS)]


def whole_batch(array: Array) -> Array:
    """The array [devices() * B, ...] of the whole batch, of which the program has a share [B, ...]."""
    return array if devices() == 1 else jax.lax.all_gather(array, AXIS, tiled=True)


def next_examples(array: Array) -> Array:
    """For each example of the whole batch the one after it, the first for the last: [B, ...] of a share [B, ...]."""
    following = jnp.roll(whole_batch(array), -1, axis=0)
    return following if devices() == 1 else own_share(following)


def whole(tree: PyTree) -> PyTree:
    """The tree with each array whole on every device, gathered where the devices hold shares of it."""
    if (mesh := _mesh.get()) is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec()))


def mean_over_devices(tree: PyTree) -> PyTree:
    """The mean of each floating-point leaf over the devices of a pmap; other leaves are the same on all of them."""
    if devices() == 1:
        return tree
    return jax.tree.map(
        lambda leaf: jax.lax.pmean(leaf, AXIS) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf, tree
    )
