"""Controls as portable files: a function each, those that a model has.

`generate` and `judge` can be differentiated once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import export

from jaxgen.core.condition import Condition
from jaxgen.core.image import ImageSpec
from jaxgen.export.stored import ConditionSpec, condition_spec, load_functions, save_functions, told_argument
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath
from jaxgen.models.latents.controls import Controls


class ExportedControls(NamedTuple):
    """Controls read from a folder, the size of their images and what they are told."""

    controls: Controls
    spec: ImageSpec
    told: ConditionSpec | None


def save_controls(folder: AnyPath, controls: Controls, spec: ImageSpec, condition: Condition | None = None) -> None:
    """Writes controls, of `exportable` networks, into a folder."""
    (batch,) = export.symbolic_shape("B")
    told = condition_spec(condition)
    field = told_argument(told, batch)
    numbers = jax.ShapeDtypeStruct((), jnp.uint32), jax.ShapeDtypeStruct((batch,), jnp.int32)
    latents = jax.eval_shape(controls.draw, *numbers)
    codes = jax.eval_shape(controls.codes, latents, *field)
    images = jax.ShapeDtypeStruct((batch, *spec), jnp.float32)
    functions = {
        "draw": (controls.draw, numbers),
        "codes": (controls.codes, (latents, *field)),
        "generate": (controls.generate, (codes, latents, *field)),
        "first_layer": (controls.first_layer, (codes,)),
    }
    for name, function in (("judge", controls.judge), ("encode", controls.encode)):
        if function is not None:
            functions[name] = (function, (images, *field))
    save_functions(folder, functions, spec, told, gradients=("generate", "judge"))


def load_controls(folder: AnyPath) -> ExportedControls:
    """The controls in a folder.

    Raises:
      InputError: there are none, they are damaged, or this JAX cannot read them.
    """
    functions, spec, told = load_functions(folder, "controls")
    try:
        return ExportedControls(Controls(**functions), spec, told)
    except TypeError as error:
        raise InputError(f"{folder} holds no controls: {error}.") from error
