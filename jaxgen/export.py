"""Samplers as one portable file: no model code is needed to draw from it.

`sampler.stablehlo` is a `jax.export` of (seed uint32 [], index int32 [B]) -> image uint8 [B, H, W, C] with the weights
inside, for cpu, cuda and tpu and any B.  Image i depends on (seed, i) alone.  `signature.json` says so, and holds the
file's SHA-256.
"""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxgen.errors import InputError, first_line
from jaxgen.files import write_whole
from jaxgen.image import ImageSpec, to_uint8
from jaxgen.types import Array, Networks, Sampler

PLATFORMS = ("cpu", "cuda", "tpu")
FUNCTION, SIGNATURE = "sampler.stablehlo", "signature.json"
BATCH = 64
"""Images a call: results are the same bytes because every call has this size, whatever number is asked for."""


class ExportedSampler(NamedTuple):
    """A sampler read from a file."""

    spec: ImageSpec
    call: Callable[[Array, Array], Array]

    def draw(self, seed: int, num: int, *, start: int = 0) -> np.ndarray:
        """Images `start` to `start + num` of the stream of `seed`, uint8 [num, H, W, C]."""
        images = np.empty((num, *self.spec), np.uint8)
        for offset in range(0, num, BATCH):
            index = start + offset + np.arange(BATCH, dtype=np.int32)
            batch = self.call(jnp.uint32(seed), jnp.asarray(index))
            images[offset : offset + BATCH] = np.asarray(batch)[: num - offset]
        return images


def seeded(sampler: Sampler, networks: Networks) -> Callable[[Array, Array], Array]:
    """The function (seed, index [B]) -> image uint8 [B, H, W, C] of a sampler and its networks."""

    def draw(seed: Array, index: Array) -> Array:
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(index)
        return to_uint8(sampler(networks, keys))

    return draw


def save_sampler(folder: Path, sampler: Sampler, networks: Networks, spec: ImageSpec) -> None:
    """Writes a sampler with the networks that it reads into a folder."""
    (batch,) = export.symbolic_shape("B")
    arguments = jax.ShapeDtypeStruct((), jnp.uint32), jax.ShapeDtypeStruct((batch,), jnp.int32)
    networks = jax.device_get(networks)
    content = bytes(export.export(jax.jit(seeded(sampler, networks)), platforms=PLATFORMS)(*arguments).serialize())
    signature = {
        "inputs": {"seed": "uint32 []", "index": "int32 [B]"},
        "output": f"uint8 [B, {spec.height}, {spec.width}, {spec.channels}]",
        "image": spec._asdict(),
        "platforms": PLATFORMS,
        "jax": jax.__version__,
        "sha256": sha256(content).hexdigest(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / FUNCTION, content)
    write_whole(folder / SIGNATURE, json.dumps(signature, indent=2) + "\n")


def load_sampler(folder: Path) -> ExportedSampler:
    """The sampler in a folder.

    Raises:
      InputError: there is none, it is damaged, or this JAX cannot read it.
    """
    try:
        signature = json.loads((folder / SIGNATURE).read_text())
        content = (folder / FUNCTION).read_bytes()
        spec, digest = ImageSpec(**signature["image"]), signature["sha256"]
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no sampler: {error.filename} is missing.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / SIGNATURE} cannot be read: {error}") from error
    if sha256(content).hexdigest() != digest:
        raise InputError(f"{folder / FUNCTION} is damaged: its SHA-256 is not the one in {SIGNATURE}.")
    try:
        exported = export.deserialize(bytearray(content))
    except Exception as error:
        made = f"made by jax {signature.get('jax')}, this is {jax.__version__}"
        raise InputError(f"{folder / FUNCTION} cannot be read ({made}): {first_line(error)}") from error
    return ExportedSampler(spec, jax.jit(exported.call))
