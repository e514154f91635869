"""Features of a reference set, kept in the user's cache folder."""

import zipfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np

from jaxgen.evaluation.network import FeatureNetwork, Features
from jaxgen.io.files import cache_folder, write_whole


def cached_features(network: FeatureNetwork, images: np.ndarray, digest: str) -> Features:
    """The network's features of images uint8 [N, H, W, C], from the cache if they are there.

    They are found by the images' SHA-256 `digest`, the network, its weights and its resize, and the versions of jaxgen
    and JAX.
    """
    key = (digest, network.name, network.digest, network.resize, version("jaxgen"), version("jax"))
    path = cache_folder() / "features" / f"{sha256(repr(key).encode()).hexdigest()}.npz"
    extracted = _read(path)
    if extracted is None or len(extracted.features) != len(images):
        extracted = network.extract(images)
        _write(path, extracted)
    return extracted


def _read(path: Path) -> Features | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return Features(archive["features"], archive.get("probabilities"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, extracted: Features) -> None:
    arrays = {name: array for name, array in extracted._asdict().items() if array is not None}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: np.savez(file, **arrays))
    except OSError:
        return  # a cache that cannot be written costs time, nothing else
