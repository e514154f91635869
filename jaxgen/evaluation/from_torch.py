"""Weights from PyTorch's files.  PyTorch is needed only to read them; nothing but arrays is unpickled."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.core.tree import by_path
from jaxgen.core.types import Variables
from jaxgen.evaluation.weights import digest_of, read_weights, require_same_network, write_weights
from jaxgen.io.errors import InputError, first_line
from jaxgen.io.files import cache_folder

Tensors = Mapping[str, np.ndarray]


def read_converted(
    path: Path, template: Variables, convert: Callable[[Tensors], Variables], *, name: str, option: str
) -> tuple[Variables, Path]:
    """A network's variables, and the .safetensors that holds them; one of PyTorch's files is converted once.

    The converted file is kept in the user's cache folder.  `name` is the network's, and `option` names the file in
    errors.

    Raises:
      InputError: the file cannot be read, is damaged, or holds another network; or PyTorch is needed and missing.
    """
    if path.suffix == ".safetensors":
        return read_weights(path, template), path
    try:
        place = cache_folder() / "weights" / f"{name}-{digest_of(path)[:16]}.safetensors"
    except OSError as error:
        raise InputError(f"{option} {path} cannot be read: {error.strerror}.") from error
    if not place.is_file():
        tensors = _tensors(path, option)
        try:
            variables = convert(tensors)
        except KeyError as error:
            raise InputError(f"{option} {path} holds another network: {error} is not there.") from error
        except ValueError as error:
            raise InputError(f"{option} {path} holds another network than {name}, of other layers.") from error
        require_same_network(f"{option} {path}", by_path(variables), template)
        write_weights(place, variables)
    return read_weights(place, template), place


def _tensors(path: Path, option: str) -> Tensors:
    try:
        import torch
    except ImportError as error:
        advice = "pip install 'jaxgen[inception]', or give the .safetensors of an earlier conversion"
        raise InputError(f"{option} {path} needs PyTorch, once, to be converted: {advice}.") from error
    try:
        if path.suffix == ".pt":
            tensors: Mapping[str, Any] = torch.jit.load(str(path), map_location="cpu").state_dict()
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.numpy() for name, tensor in tensors.items()}
    except Exception as error:  # of any type, since the file can be anything
        raise InputError(f"{option} {path} holds no PyTorch weights: {first_line(error)}") from error
