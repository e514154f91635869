"""Samplers as one portable file: no model code is needed to draw from it.

`sampler.stablehlo` is a `jax.export` of (seed uint32 [], index int32 [B]) -> image uint8 [B, H, W, C] with the weights
inside, for cpu, cuda and tpu and any B; a conditional one also takes the condition's field: label int32 [B], features
float32 [B, F] or the tokens text int32 [B, T].  Image i depends on (seed, i) and what it is told alone.
`signature.json` says so, and holds the file's SHA-256.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxgen.core.condition import Condition, require_labels
from jaxgen.core.image import ImageSpec, to_uint8
from jaxgen.core.types import Array, Networks, Sampler
from jaxgen.export.stored import (
    ConditionSpec,
    condition_spec,
    exportable,
    load_functions,
    save_functions,
    told_argument,
)
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath
from jaxgen.models.latents.controls import image_keys

NAME = "sampler"
BATCH = 64
"""Images a call: results are the same bytes because every call has this size, whatever number is asked for."""


class ExportedSampler(NamedTuple):
    """A sampler read from a file."""

    spec: ImageSpec
    call: Callable[..., Array]
    told: ConditionSpec | None = None

    def draw(
        self, seed: int, num: int, *, start: int = 0, field: np.ndarray | None = None, text: Sequence[str] | None = None
    ) -> np.ndarray:
        """Images `start` to `start + num` of the stream of `seed`, uint8 [num, H, W, C].

        A conditional sampler is told `field` [num, ...], by default all labels in turn; or `text`, num texts whose
        words it knows.

        Raises:
          InputError: the field is missing, does not fit, or has a label that is no class.
        """
        if text is not None:
            field = self._tokens(text)
        given = self._given(start + np.arange(num, dtype=np.int32), field)
        images = np.empty((num, *self.spec), np.uint8)
        for offset in range(0, num, BATCH):
            index = start + offset + np.arange(BATCH, dtype=np.int32)
            chosen = np.minimum(offset + np.arange(BATCH), num - 1)
            batch = self.call(jnp.uint32(seed), jnp.asarray(index), *(jnp.asarray(array[chosen]) for array in given))
            images[offset : offset + BATCH] = np.asarray(batch)[: num - offset]
        return images

    def _tokens(self, text: Sequence[str]) -> np.ndarray:
        if self.told is None or self.told.tokenizer is None:
            raise InputError("This sampler is not told words: it is of no experiment with text.")
        return self.told.tokenizer.encode(text)

    def _given(self, index: np.ndarray, field: np.ndarray | None) -> tuple[np.ndarray, ...]:
        if self.told is None:
            if field is not None:
                raise InputError("This sampler draws without being told anything: it is of no conditional experiment.")
            return ()
        if field is None and self.told.classes:
            field = index % self.told.classes
        if field is None:
            raise InputError(f"This sampler must be told {self.told.field!r} of each image.")
        if field.shape != (len(index), *self.told.shape):
            expected = [len(index), *self.told.shape]
            raise InputError(f"The sampler was told {self.told.field!r} {list(field.shape)}; expected {expected}.")
        if self.told.classes:
            require_labels(field, self.told.classes, "the classes of the run")
        return (field.astype(self.told.dtype),)


def seeded(sampler: Sampler, networks: Networks) -> Callable[..., Array]:
    """The function (seed, index [B], a condition's field [B, ...] if any) -> image uint8 [B, H, W, C] of a sampler."""

    def draw(seed: Array, index: Array, *field: Array) -> Array:
        return to_uint8(sampler(networks, image_keys(seed, index), *field))

    return draw


def save_sampler(
    folder: AnyPath, sampler: Sampler, networks: Networks, spec: ImageSpec, condition: Condition | None = None
) -> None:
    """Writes a sampler with the networks that it reads into a folder."""
    (batch,) = export.symbolic_shape("B")
    told, inputs = condition_spec(condition), {"seed": "uint32 []", "index": "int32 [B]"}
    arguments = (
        jax.ShapeDtypeStruct((), jnp.uint32),
        jax.ShapeDtypeStruct((batch,), jnp.int32),
        *told_argument(told, batch),
    )
    if told is not None:
        inputs[told.field] = f"{told.dtype} [{', '.join(map(str, ('B', *told.shape)))}]"
    function = seeded(sampler, exportable(networks))
    output = f"uint8 [B, {spec.height}, {spec.width}, {spec.channels}]"
    save_functions(folder, {NAME: (function, arguments)}, spec, told, inputs=inputs, output=output)


def load_sampler(folder: AnyPath) -> ExportedSampler:
    """The sampler in a folder.

    Raises:
      InputError: there is none, it is damaged, or this JAX cannot read it.
    """
    functions, spec, told = load_functions(folder, NAME)
    if NAME not in functions:
        raise InputError(f"{folder} holds no sampler: it holds {', '.join(functions)}.")
    return ExportedSampler(spec, functions[NAME], told)
