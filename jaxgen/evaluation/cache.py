"""Features of a reference set, kept in the user's cache folder."""

from hashlib import sha256
from importlib.metadata import version

import numpy as np

from jaxgen.evaluation.network import FeatureNetwork, Features
from jaxgen.io.archive import read_cached, write_cached
from jaxgen.io.files import cache_folder


def cached_features(network: FeatureNetwork, images: np.ndarray, digest: str) -> Features:
    """The network's features of images uint8 [N, H, W, C], from the cache if they are there.

    The cache key is the images' SHA-256 `digest`, the network, its weights and its resize, and the versions of jaxgen
    and JAX.  A network without a digest has no cache, since its name alone does not identify it.
    """
    if not network.digest:
        return network.extract(images)
    key = (digest, network.name, network.digest, network.resize, version("jaxgen"), version("jax"))
    path = cache_folder() / "features" / f"{sha256(repr(key).encode()).hexdigest()}.npz"
    cached = read_cached(path) or {}
    if len(cached.get("features", ())) == len(images):
        return Features(cached["features"], cached.get("probabilities"))
    extracted = network.extract(images)
    write_cached(path, {name: array for name, array in extracted._asdict().items() if array is not None})
    return extracted
