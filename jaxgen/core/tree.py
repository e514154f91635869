"""The leaves of a tree by name; typed random keys as raw words that can be stored."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.core.types import PyTree
from jaxgen.io.errors import InputError


def by_path(tree: PyTree) -> dict[str, Any]:
    """The leaves by their paths, e.g. `networks.generator.params.w`.

    Raises:
      InputError: two leaves have the same path, since a name has a dot in it.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
    if len(named) < len(leaves):
        raise InputError("Two leaves of the state have the same path: rename one that has a dot in its name.")
    return named


def is_key(leaf: Any) -> bool:
    """Whether a leaf holds typed random keys."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def raw(leaf: Any) -> Any:
    """The leaf, keys as their raw words; of a `jax.ShapeDtypeStruct`, that of the words, with the same sharding."""
    if not is_key(leaf):
        return leaf
    if isinstance(leaf, jax.Array):
        return jax.random.key_data(leaf)
    words = jax.eval_shape(jax.random.key_data, leaf)
    return jax.ShapeDtypeStruct(words.shape, words.dtype, sharding=leaf.sharding)


def like(leaf: Any, words: Any) -> Any:
    """The words as the kind of leaf that they were the raw words of."""
    if not is_key(leaf):
        return words
    # `key_impl` takes arrays, and the leaf may be no more than a shape and a type.
    return jax.random.wrap_key_data(jnp.asarray(words), impl=jax.random.key_impl(jnp.empty(0, leaf.dtype)))
