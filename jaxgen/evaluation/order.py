"""An order of examples by their contents, so that no measure of a set depends on the order of its files.

A measure that draws subsets, pairs or resamples puts its examples in this order first, and draws by its seed then.
"""

from hashlib import blake2b

import numpy as np


def content_order(*arrays: np.ndarray) -> np.ndarray:
    """A random permutation [N] of the rows of arrays [N, ...], which depends on their contents and not on their order.

    In this order the arrays are the same in whichever order their rows come, and consecutive parts are random samples.
    """
    rows = [np.ascontiguousarray(array) for array in arrays]
    hashes = [_hash([array[row : row + 1] for array in rows]) for row in range(len(rows[0]))]
    by_content = np.array(sorted(range(len(hashes)), key=hashes.__getitem__), np.int64)
    return by_content[np.random.default_rng(0).permutation(len(hashes))]  # spreads copies of a row


def _hash(parts: list[np.ndarray]) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part.data)
    return digest.digest()
