"""A sampler as one portable file: no model code is needed to draw from it.

`sampler.stablehlo` is a `jax.export` of (seed uint32 [], index int32 [B]) -> image uint8 [B, H, W, C] with the weights
inside, for cpu, cuda and tpu and any B.  A conditional sampler takes the fields of its conditions too, such as label
int32 [B], features float32 [B, F] or text int32 [B, T].  Image i depends on (seed, i) and its own fields alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxgen.core.condition import require_labels
from jaxgen.core.image import ImageSpec, to_uint8
from jaxgen.core.map_rows import RowMap, map_rows, rows_per_device
from jaxgen.core.sampler import Sampler, image_keys
from jaxgen.core.types import Array, Networks
from jaxgen.data.class_names import label_of
from jaxgen.data.tokenizer import Tokenizer
from jaxgen.export.stored import (
    SIGNATURE,
    ConditionSpec,
    Export,
    ExportInfo,
    by_field,
    described,
    exportable,
    field_arguments,
    load_functions,
    positional,
    save_functions,
)
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath, expanded
from jaxgen.io.system import installed_memory

NAME = "sampler"
BATCH = 64
"""Images that a CPU draws at a time: with one size for all calls, the bytes of an image do not depend on how many are
drawn.  Accelerators draw more."""


class ExportedSampler(NamedTuple):
    """A sampler read from a folder, with its conditions by field and the tokenizer of its captions.

    `call` takes a seed uint32 [], and image numbers int32 [N] with the fields [N, ...] by name.
    """

    spec: ImageSpec
    call: RowMap
    conditions: Mapping[str, ConditionSpec] = {}
    tokenizer: Tokenizer | None = None

    def draw(
        self,
        seed: int,
        num: int,
        *,
        start: int = 0,
        fields: Mapping[str, np.ndarray] = {},
        text: Sequence[str] | None = None,
        size: int = BATCH,
    ) -> np.ndarray:
        """Images `start` to `start + num` of the stream of `seed`, uint8 [num, H, W, C].

        `fields` are those of the conditions, [num, ...] by name; without `label`, image i has label i modulo the number
        of classes.  `text` gives num captions in place of the field `text`; unknown words are dropped.  A CPU draws
        `size` images at a time, however few they are.

        Raises:
          InputError: a field is missing, belongs to no condition or does not fit, or a label is out of range.
          MemoryError: the images do not fit into memory.
        """
        self.require_memory(num)
        if text is not None:
            fields = {**fields, "text": self._tokens(text)}
        index = start + np.arange(num, dtype=np.int32)
        rows = index, self._complete(index, fields)
        return self.call(jnp.uint32(seed), rows, size=rows_per_device(size), what=f"Drawing {num:,} images")

    def sample(
        self,
        num: int = 16,
        *,
        seed: int = 0,
        label: int | str | Sequence[int | str] | None = None,
        text: str | Sequence[str] | None = None,
    ) -> np.ndarray:
        """Images 0 to `num` of a seed, uint8 [num, H, W, C], for labels and captions that are taken in turn.

        A label is a number or the name of a class; without one, all classes are drawn in turn.

        Raises:
          InputError: a label or a caption is missing, unknown, or belongs to no condition.
          MemoryError: the images do not fit into memory.
        """
        fields, captions = {}, None
        if label is not None:
            names = self.conditions["label"].class_names if "label" in self.conditions else ()
            fields["label"] = np.resize([label_of(str(word), names) for word in _several("label", label)], num)
        if text is not None:
            captions = np.resize(_several("text", text), num).tolist()
        return self.draw(seed, num, fields=fields, text=captions)

    def require_memory(self, num: int) -> None:
        """Refuses more images than fit into the memory of this machine.

        Raises:
          MemoryError: saying how much they take.
        """
        wanted, installed = num * math.prod(self.spec), installed_memory()
        if wanted > installed:
            raise MemoryError(f"{num:,} images take {wanted / 2**30:,.1f} GiB of {installed / 2**30:,.1f} GiB")

    def _tokens(self, text: Sequence[str]) -> np.ndarray:
        if self.tokenizer is None:
            raise InputError("This sampler has no tokenizer: its model was not trained on captions.")
        return self.tokenizer.encode(text)

    def _complete(self, index: np.ndarray, fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The fields of all conditions, checked, in the dtypes of the conditions."""
        for name in fields:
            if name not in self.conditions:
                known = ", ".join(map(repr, self.conditions)) or "none"
                raise InputError(f"This sampler is not conditioned on {name!r}; its conditions are: {known}.")
        complete = {}
        for name, condition in self.conditions.items():
            field = fields.get(name, index % condition.classes if condition.classes else None)
            expected = [len(index), *condition.shape]
            if field is None:
                raise InputError(f"This sampler is conditioned on {name!r}: give {condition.dtype}{expected}.")
            if list(field.shape) != expected:
                raise InputError(f"The sampler was given {name!r} of shape {list(field.shape)}; expected {expected}.")
            if condition.classes:
                require_labels(field, condition.classes, "the classes of the run")
            complete[name] = field.astype(condition.dtype)
        return complete


def _several(name: str, given: int | str | Sequence[int | str]) -> np.ndarray:
    """One value or several as an array [K]."""
    values = np.atleast_1d(np.asarray(given))
    if not len(values):
        raise InputError(f"{name} is an empty list: give one or several, or leave it out.")
    return values


def seeded(sampler: Sampler, networks: Networks) -> Callable[..., Array]:
    """The function (seed uint32 [], index int32 [B], fields={}) -> image uint8 [B, H, W, C] of a sampler."""

    def draw(seed: Array, index: Array, fields: Mapping[str, Array] = {}) -> Array:
        return to_uint8(sampler(networks, image_keys(seed, index), **fields))

    return draw


def export_sampler(sampler: Sampler) -> Export:
    """Exports the sampler, with its conditions and the size of its images."""

    def write(folder: Path, networks: Networks, info: ExportInfo) -> None:
        (batch,) = export.symbolic_shape("B")
        conditions = sampler.conditions
        arguments = (
            jax.ShapeDtypeStruct((), jnp.uint32),
            jax.ShapeDtypeStruct((batch,), jnp.int32),
            *field_arguments(conditions, batch),
        )
        inputs = {"seed": "uint32 []", "index": "int32 [B]", **described(conditions)}
        function = positional(seeded(sampler, exportable(networks)), conditions)
        shape = jax.eval_shape(function, *arguments).shape
        info = info._replace(conditions=conditions, spec=ImageSpec(*shape[1:]))
        output = f"uint8 [{', '.join(map(str, shape))}]"
        save_functions(folder, {NAME: (function, arguments)}, info, inputs=inputs, output=output)

    return write


def load(folder: AnyPath) -> ExportedSampler:
    """The sampler of a run directory, or of a folder that `python -m jaxgen card` wrote; its own folder will do too.

    Raises:
      InputError: there is none, it is damaged, or this JAX cannot read it.
    """
    path = expanded(folder)
    return load_sampler(path if (path / SIGNATURE).is_file() else path / NAME)


def load_sampler(folder: AnyPath) -> ExportedSampler:
    """The sampler in a folder.

    Raises:
      InputError: there is none, it is damaged, or this JAX cannot read it.
    """
    functions, spec, conditions, tokenizer, _ = load_functions(folder, "sampler", NAME)
    call = by_field(functions[NAME], conditions)
    return ExportedSampler(spec, map_rows(lambda seed, rows: call(seed, *rows)), conditions, tokenizer)
