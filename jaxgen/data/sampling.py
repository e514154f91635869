"""Which examples are in a batch: a function of (seed, step) alone.

Position p of the training run lies in epoch p // N and sees example permutation(seed, epoch)[p % N]: every example once
an epoch, in an order that no number of devices, processes or interruptions changes.
"""

from functools import lru_cache

import numpy as np


def batch_indices(seed: int, step: int, batch_size: int, num_examples: int) -> np.ndarray:
    """Indices of the examples of a step, int32 [batch_size].

    >>> batch_indices(seed=0, step=0, batch_size=4, num_examples=4).tolist()
    [2, 0, 1, 3]
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, offsets = np.divmod(positions, num_examples)
    indices = np.empty(batch_size, np.int32)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = _permutation(seed, int(epoch), num_examples)[offsets[here]]
    return indices


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(num_examples).astype(np.int32)
