"""Conditions: the inputs of a network besides its main one, as labels, features, text and images.

`Conditions` map a field of the batch to its `Condition`, and compose as mappings do: `labels(10) | text(12)`.  A
network takes them as positional arguments, in this order and only those that there are:

    images     float32 [B, H, W, C] in [-1, 1]
    tokens     int32 [B, T], for a network that reads them
    vectors    float32 [B, F]: one-hot labels and features side by side, in the order of the mapping

So a dense layer of a label is an embedding, and whatever takes a label takes features too.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.types import Array, Batch
from jaxgen.io.errors import InputError


class Condition(NamedTuple):
    """One conditioning input.

    `shape` and `dtype` are those of one example of the field, `size` is F, T or the values of an image; `classes` is
    the number of labels, 0 for other fields.  `encode` takes the field [B, ...] to the network's input.  A field filled
    with `null` is the null condition of classifier-free guidance, which encodes to zeros; None for images.  `kind` is
    what `jaxgen.evaluation.describe` calls features that it computes from images, and empty for others.
    """

    size: int
    shape: tuple[int, ...]
    dtype: str
    classes: int
    encode: Callable[[Array], Array]
    null: int | None = 0
    kind: str = ""


Conditions = Mapping[str, Condition]
"""The conditions of a network by the batch's fields that hold them; empty for an unconditional network."""

Fields = Mapping[str, Array]
"""The fields [N, ...] of the conditions by name; empty for an unconditional network."""

KNOWN, UNKNOWN = "known", -1
"""The field of the known frames around an image, int16 [B, S, H, W, C] of 0 to 255 in the order of `frame_offsets`, and
the value where none is known."""


def frame_offsets(frames: int) -> np.ndarray:
    """Where the known frames around an image are, int [S], in clips of T `frames`: 1 - T to -1, and 1 to T - 1.

    >>> frame_offsets(3)
    array([-2, -1,  1,  2])
    """
    return np.delete(np.arange(1 - frames, frames), frames - 1)


def labels(classes: int) -> dict[str, Condition]:
    """Class labels: the batch's `label` int32 [B] from 0 to `classes` - 1, encoded one-hot.

    Raises:
      ValueError: fewer than one class.
    """
    if classes < 1:
        raise ValueError(f"labels was given {classes} classes; expected at least 1.")
    return {"label": Condition(classes, (), "int32", classes, lambda label: jax.nn.one_hot(label, classes), null=-1)}


def features(size: int, kind: str = "") -> dict[str, Condition]:
    """Feature vectors: the batch's `features` float32 [B, size], unchanged.

    With the `kind` of the features of images, an exported function can be given images in place of them.

    Raises:
      ValueError: a size below 1.
    """
    if size < 1:
        raise ValueError(f"features was given a size of {size}; expected at least 1.")
    return {"features": Condition(size, (size,), "float32", 0, lambda array: array, kind=kind)}


def images(spec: ImageSpec) -> dict[str, Condition]:
    """Images: the batch's `image` uint8 [B, H, W, C] as float32 in [-1, 1]."""
    return {"image": Condition(math.prod(spec), tuple(spec), "uint8", 0, to_float, null=None)}


def text(length: int) -> dict[str, Condition]:
    """Captions: the batch's `text` int32 [B, length], the tokens themselves.

    Raises:
      ValueError: a length below 1.
    """
    if length < 1:
        raise ValueError(f"text was given a length of {length}; expected at least 1.")
    return {"text": Condition(length, (length,), "int32", 0, lambda tokens: tokens)}


def conditioning(conditions: Conditions, fields: Batch) -> tuple[Array, ...]:
    """The conditioning inputs of a network from a batch, or from the fields that a sampler was given.

    Raises:
      TypeError: a field is missing.
    """
    for name in conditions:
        if name not in fields:
            given = ", ".join(map(repr, fields)) or "none"
            raise TypeError(f"The condition {name!r} is missing; the fields given are: {given}.")
    encoded = [condition.encode(fields[name]) for name, condition in conditions.items()]
    maps = [array for array in encoded if array.ndim == 4]
    tokens = [array for array in encoded if array.ndim < 4 and jnp.issubdtype(array.dtype, jnp.integer)]
    vectors = [array for array in encoded if array.ndim < 4 and not jnp.issubdtype(array.dtype, jnp.integer)]
    return (*maps, *tokens, *(vectors if len(vectors) < 2 else [jnp.concatenate(vectors, axis=-1)]))


def example_fields(conditions: Conditions, num: int = 1) -> dict[str, Array]:
    """Fields of zeros [num, ...] with the shapes and dtypes of the conditions."""
    return {name: jnp.zeros((num, *c.shape), c.dtype) for name, c in conditions.items()}


def example_conditioning(conditions: Conditions, num: int = 1) -> tuple[Array, ...]:
    """Conditioning inputs of zeros, which initialise a network's variables and are the null condition."""
    return tuple(jnp.zeros_like(array) for array in conditioning(conditions, example_fields(conditions, num)))


def require_conditions(
    conditions: Conditions, fields: Mapping[str, tuple[tuple[int, ...], Any]], arrays: Mapping[str, np.ndarray]
) -> None:
    """Refuses data without the fields of the conditions; `arrays` are the fields that are in memory.

    Raises:
      InputError: a field is missing or of another shape, or a label is out of range.
    """
    for name, condition in conditions.items():
        if name not in fields:
            raise InputError(f"The data have no {name!r}, which this experiment's networks are conditioned on.")
        if fields[name][0] != condition.shape:
            given, expected = (list(shape) for shape in (fields[name][0], condition.shape))
            raise InputError(f"The data's {name!r} is {given} an image; expected {expected}.")
        if condition.classes and name in arrays:
            require_labels(arrays[name], condition.classes, "--classes of the experiment")


def require_labels(label: np.ndarray, classes: int, option: str) -> None:
    """Refuses labels out of range.

    Raises:
      InputError: a label below 0 or not below `classes`; the message names the option.
    """
    outside = label[(label < 0) | (label >= classes)]
    if len(outside):
        raise InputError(f"The label {outside[0]} is not a class: expected 0 to {classes - 1} ({option}).")
