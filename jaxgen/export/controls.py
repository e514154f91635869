"""The controls of a model as portable files, one for each function that the model has.

`generate` and `logits` can be differentiated once.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import export

from jaxgen.core.controls import Controls
from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Networks
from jaxgen.data.tokenizer import Tokenizer
from jaxgen.export.stored import (
    ConditionSpec,
    Export,
    ExportInfo,
    by_field,
    exportable,
    field_arguments,
    load_functions,
    positional,
    save_functions,
)
from jaxgen.io.files import AnyPath

UNCONDITIONAL = ("draw", "first_layer")
"""Functions that do not take the fields of the conditions."""

REQUIRED = tuple(name for name in Controls._fields if name not in Controls._field_defaults)
"""Functions that all controls have."""


class ExportedControls(NamedTuple):
    """Controls read from a folder, the size of their images, their conditions by field, and a tokenizer."""

    controls: Controls
    spec: ImageSpec
    conditions: Mapping[str, ConditionSpec] = {}
    tokenizer: Tokenizer | None = None


def export_controls(controls: Callable[[Networks], Controls]) -> Export:
    """Exports the controls of a model: `export_controls(use_ema(gan.controls))`."""

    def write(folder: Path, networks: Networks, info: ExportInfo) -> None:
        (batch,) = export.symbolic_shape("B")
        functions = {
            name: function if name in UNCONDITIONAL else positional(function, info.conditions)
            for name, function in controls(exportable(networks))._asdict().items()
            if function is not None
        }
        fields = field_arguments(info.conditions, batch)
        numbers = jax.ShapeDtypeStruct((), jnp.uint32), jax.ShapeDtypeStruct((batch,), jnp.int32)
        latents = jax.eval_shape(functions["draw"], *numbers)
        codes = jax.eval_shape(functions["codes"], latents, *fields)
        images = jax.ShapeDtypeStruct((batch, *info.spec), jnp.float32)
        arguments = {
            "draw": numbers,
            "codes": (latents, *fields),
            "generate": (codes, latents, *fields),
            "first_layer": (codes,),
            "logits": (images, *fields),
            "encode": (images, *fields),
        }
        stored = {name: (function, arguments[name]) for name, function in functions.items()}
        save_functions(folder, stored, info, gradients=("generate", "logits"))

    return write


def load_controls(folder: AnyPath) -> ExportedControls:
    """The controls in a folder.

    Raises:
      InputError: there are none, they are damaged, or this JAX cannot read them.
    """
    functions, spec, conditions, tokenizer, _ = load_functions(folder, "controls", *REQUIRED)
    by_name = {
        name: function if name in UNCONDITIONAL else by_field(function, conditions)
        for name, function in functions.items()
        if name in Controls._fields
    }
    return ExportedControls(Controls(**by_name), spec, conditions, tokenizer)
