"""A denoiser as one portable file: any solver, guidance or restoration runs outside of it, without model code.

`denoiser.stablehlo` is a `jax.export` of (noised float32 [B, H, W, C], sigma float32 [B]) -> float32 [B, H, W, C] with
the weights inside, for cpu, cuda and tpu and any B.  Whatever the schedule of its training, it is D(x; sigma) of Karras
et al. (2022), https://arxiv.org/abs/2206.00364, section 2: E[image | x = image + sigma eps].  Outside, the schedule is
`variance_exploding`.  A conditional denoiser takes the fields of its conditions too.  It can be differentiated once.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import export

from jaxgen.core.condition import conditioning
from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array, Networks
from jaxgen.data.tokenizer import Tokenizer
from jaxgen.export.stored import (
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
from jaxgen.io.files import AnyPath

NAME, AUTOGUIDED = "denoiser", "autoguided"
"""The folders of a run's denoiser, and of the autoguided one, which it draws with if there is one."""


class ExportedDenoiser(NamedTuple):
    """A denoiser read from a folder, the size of its images, its conditions by field, and a tokenizer.

    `call` takes images with noise float32 [B, H, W, C], sigma float32 [B] and the fields [B, ...] by name.  `guidance`
    is the scale of classifier-free guidance at which the run's own sampler draws.
    """

    spec: ImageSpec
    call: Callable[[Array, Array, Mapping[str, Array]], Array]
    conditions: Mapping[str, ConditionSpec] = {}
    tokenizer: Tokenizer | None = None
    guidance: float = 1.0


def export_denoiser(denoiser: Callable[[Networks], Callable[..., Array]], guidance: float = 1.0) -> Export:
    """Exports D(x; sigma): `export_denoiser(use_ema(added_noise(model)))`.

    It is not guided itself; `guidance` is the scale at which other solvers draw with it by default.
    """

    def write(folder: Path, networks: Networks, info: ExportInfo) -> None:
        (batch,), conditions = export.symbolic_shape("B"), info.conditions
        function = denoiser(exportable(networks))

        def denoise(noised: Array, sigma: Array, fields: Mapping[str, Array]) -> Array:
            return function(noised, sigma, *conditioning(conditions, fields))

        arguments = (
            jax.ShapeDtypeStruct((batch, *info.spec), jnp.float32),
            jax.ShapeDtypeStruct((batch,), jnp.float32),
            *field_arguments(conditions, batch),
        )
        image = f"float32 [B, {', '.join(map(str, info.spec))}]"
        inputs = {"noised": image, "sigma": "float32 [B]", **described(conditions)}
        functions = {NAME: (positional(denoise, conditions), arguments)}
        save_functions(folder, functions, info, gradients=(NAME,), inputs=inputs, output=image, guidance=guidance)

    return write


def load_denoiser(folder: AnyPath) -> ExportedDenoiser:
    """The denoiser in a folder.

    Raises:
      InputError: there is none, it is damaged, or this JAX cannot read it.
    """
    functions, spec, conditions, tokenizer, signature = load_functions(folder, NAME, NAME)
    guidance = float(signature.get("guidance", 1.0))  # signatures did not always have it
    return ExportedDenoiser(spec, by_field(functions[NAME], conditions), conditions, tokenizer, guidance)


def load_drawing_denoiser(run: Path) -> ExportedDenoiser | None:
    """The denoiser that a run's images are drawn with, or None if the run exports none.

    Raises:
      InputError: as `load_denoiser`.
    """
    folders = [folder for folder in (run / AUTOGUIDED, run / NAME) if folder.is_dir()]
    return load_denoiser(folders[0]) if folders else None
