"""What networks are told besides noise or an image.

A `Condition` names a field of the batch and makes numbers of it, [B, F]: a label becomes one-hot, so that a dense layer
of it is an embedding, and whatever takes a label takes features too.  Tokens stay as they are, for a network that reads
them, and so does an image.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError
from jaxgen.image import ImageSpec, to_float
from jaxgen.tokenizer import Tokenizer
from jaxgen.types import Array, Batch


class Condition(NamedTuple):
    """A field of the batch, and what networks are told of it: [B, size], float32 unless it is tokens.

    `shape` and `dtype` are of one example of the field; `classes` is how many labels there are, 0 if it is no label.
    `tokenizer` is what made tokens of words: a run takes it from its data.  A field full of `none` says nothing:
    networks are told zeros.  There is no such field for images.
    """

    field: str
    size: int
    shape: tuple[int, ...]
    dtype: str
    classes: int
    encode: Callable[[Array], Array]
    tokenizer: Tokenizer | None = None
    none: int | None = 0


def labels(classes: int) -> Condition:
    """Labels from 0 to `classes` - 1, one-hot.

    Raises:
      ValueError: fewer than one class.
    """
    if classes < 1:
        raise ValueError(f"labels was given {classes} classes; expected at least 1.")
    return Condition("label", classes, (), "int32", classes, lambda label: jax.nn.one_hot(label, classes), none=-1)


def features(size: int) -> Condition:
    """Any numbers, the batch's `features` float32 [B, size], as they are.

    Raises:
      ValueError: fewer than one number.
    """
    if size < 1:
        raise ValueError(f"features was given a size of {size}; expected at least 1.")
    return Condition("features", size, (size,), "float32", 0, lambda array: array)


def images(spec: ImageSpec) -> Condition:
    """Whole images, the batch's `image` uint8 [B, H, W, C], as float32 [B, H, W, C] in [-1, 1]."""
    return Condition("image", math.prod(spec), tuple(spec), "uint8", 0, to_float, none=None)


def text(length: int) -> Condition:
    """The words of a caption, the batch's `text` int32 [B, length], as the tokens they are.

    Raises:
      ValueError: fewer than one word.
    """
    if length < 1:
        raise ValueError(f"text was given a length of {length}; expected at least 1.")
    return Condition("text", length, (length,), "int32", 0, lambda tokens: tokens)


def told(condition: Condition | None, batch: Batch) -> tuple[Array, ...]:
    """What networks are told of a batch, as positional arguments: [B, F], or nothing."""
    return () if condition is None else (condition.encode(batch[condition.field]),)


def encoded(condition: Condition | None, field: tuple[Array, ...]) -> tuple[Array, ...]:
    """What networks are told of a sampler's further arguments, the field's array [B, ...] if there is a condition.

    Raises:
      TypeError: a field without a condition, or a condition without its field.
    """
    if len(field) != (condition is not None):
        expected = "nothing" if condition is None else f"the field {condition.field!r}"
        raise TypeError(f"A sampler was given {len(field)} fields; expected {expected}.")
    return () if condition is None else (condition.encode(field[0]),)


def example(condition: Condition | None, num: int = 1) -> tuple[Array, ...]:
    """What networks are told in shape alone, to make their variables: zeros [num, F], or nothing."""
    if condition is None:
        return ()
    return (jnp.zeros_like(condition.encode(jnp.zeros((num, *condition.shape), condition.dtype))),)


def require_condition(
    condition: Condition | None, fields: Mapping[str, tuple[tuple[int, ...], Any]], arrays: Mapping[str, np.ndarray]
) -> None:
    """Refuses data that lack what the networks are told; `arrays` are those that are in memory.

    Raises:
      InputError: no such field, one of another size, or a label that is no class.
    """
    if condition is None:
        return
    if condition.field not in fields:
        raise InputError(f"The data have no {condition.field!r}, which this experiment tells its networks.")
    if fields[condition.field][0] != condition.shape:
        given, expected = (list(shape) for shape in (fields[condition.field][0], condition.shape))
        raise InputError(f"The data's {condition.field!r} is {given} an image; expected {expected}.")
    if condition.classes and condition.field in arrays:
        require_labels(arrays[condition.field], condition.classes, "--classes of the experiment")


def require_labels(given: np.ndarray, classes: int, option: str) -> None:
    """Refuses labels outside the classes.

    Raises:
      InputError: a label below 0 or not below `classes`; the message names the option.
    """
    outside = given[(given < 0) | (given >= classes)]
    if len(outside):
        raise InputError(f"The label {outside[0]} is no class: expected 0 to {classes - 1} ({option}).")
