"""Weights of feature networks as safetensors: arrays by path, and no code."""

from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgen.core.tree import by_path
from jaxgen.core.types import Variables
from jaxgen.io.errors import InputError, first_line
from jaxgen.io.files import AnyPath, write_whole


def write_weights(path: AnyPath, variables: Variables) -> None:
    """Writes a network's variables."""
    from safetensors.numpy import save

    # safetensors writes an array's memory as it lies, which permutes the values of a transposed one.
    write_whole(path, save({name: np.array(leaf, order="C") for name, leaf in by_path(variables).items()}))


def read_weights(path: AnyPath, template: Variables) -> Variables:
    """A network's variables, with the structure, shapes and dtypes of the template.

    Raises:
      InputError: the file cannot be read, is damaged, or holds another network.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a valid safetensors file: {first_line(error)}") from error
    require_same_network(str(path), arrays, template)
    variables = jax.tree.unflatten(jax.tree.structure(template), [arrays[name] for name in by_path(template)])
    # NumPy arrays would be transferred to the device by every call that is not compiled.
    return jax.device_put(variables)


def require_same_network(source: str, arrays: Mapping[str, Any], template: Variables) -> None:
    """Refuses arrays by path whose names, shapes or dtypes are not the template's, or that are not finite.

    Raises:
      InputError: naming the source and the first difference.
    """
    expected = by_path(template)
    for name in {**expected, **arrays}:
        there, here = (_described(leaves.get(name)) for leaves in (arrays, expected))
        if there != here:
            raise InputError(f"{source} holds another network: {name} is {there}; expected {here}.")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise InputError(f"{source} holds values that are not finite.")


def digest_of(path: AnyPath) -> str:
    """The SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _described(leaf: Any) -> str:
    return "absent" if leaf is None else f"{leaf.dtype}{list(leaf.shape)}"
