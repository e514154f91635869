"""Variables of networks, from their shapes alone; nothing is compiled."""

from functools import partial

import jax
import numpy as np


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def shapes(network, *given, **options):
    return jax.eval_shape(partial(network.init, **options), jax.random.key(0), *given)


def variables_like(shapes):
    """Without zeros, so that everything reaches the output."""
    rng = np.random.default_rng(0)

    def leaf(like):
        noise = rng.standard_normal(like.shape).astype(np.float32)
        return noise / np.sqrt(np.prod(like.shape[:-1], dtype=np.float32)) if like.ndim > 1 else 1 + 0.1 * noise

    return jax.tree.map(leaf, shapes)


def variables_of(network, *given, train=False):
    return variables_like(shapes(network, *given, train=train))
