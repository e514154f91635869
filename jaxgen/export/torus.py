"""Textures of any size without seams, as one portable file: no model code.

`torus.stablehlo` is a `jax.export` of (seed uint32 [], rows int32 [h], columns int32 [w]) -> float32 [c h, c w, C],
with the weights inside, for cpu, cuda and tpu and any h and w.  The noise at a position depends on the seed, its row
and its column alone, and c is the number of pixels from one position to the next.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxgen.core.image import ImageSpec, to_uint8
from jaxgen.core.types import Array, Networks
from jaxgen.export.stored import Export, ExportInfo, exportable, load_functions, save_functions
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath

TORUS = "torus"
"""The folder of a run's generator of tori."""


class ExportedTorus(NamedTuple):
    """A generator of tori read from a folder.

    `spec` is the size of its run's images, `cell` the number of pixels from one position of the noise to the next.
    """

    call: Callable[[Array, Array, Array], Array]
    spec: ImageSpec
    cell: int


def export_torus(tori: Callable[[Networks], Callable[[Array], Array]], channels: int) -> Export:
    """Exports a generator of tori: `tori` makes of the networks a function of maps of noise [B, h, w, channels]."""

    def write(folder: Path, networks: Networks, info: ExportInfo) -> None:
        height, width = export.symbolic_shape("h, w")
        draw = tori(exportable(networks))

        def torus(seed: Array, rows: Array, columns: Array) -> Array:
            def noise(row: Array, column: Array) -> Array:
                key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), row), column)
                return jax.random.normal(key, (channels,))

            every = jax.vmap(jax.vmap(noise, (None, 0)), (0, None))(rows, columns)
            return draw(every[None])[0]

        arguments = (
            jax.ShapeDtypeStruct((), jnp.uint32),
            jax.ShapeDtypeStruct((height,), jnp.int32),
            jax.ShapeDtypeStruct((width,), jnp.int32),
        )
        inputs = {"seed": "uint32 []", "rows": "int32 [h]", "columns": "int32 [w]"}
        image = f"float32 [c h, c w, {info.spec.channels}]"
        save_functions(folder, {TORUS: (torus, arguments)}, info, inputs=inputs, output=image)

    return write


def load_torus(folder: AnyPath) -> ExportedTorus:
    """The generator of tori in a folder.

    Raises:
      InputError: there is none, it is damaged, or this JAX cannot read it.
    """
    functions, spec, *_ = load_functions(folder, TORUS, TORUS)
    whole = jax.eval_shape(functions[TORUS], jnp.uint32(0), *2 * [jnp.zeros(1, jnp.int32)])
    return ExportedTorus(functions[TORUS], spec, whole.shape[0])


def draw_torus(torus: ExportedTorus, size: tuple[int, int], *, seed: int = 0) -> np.ndarray:
    """A picture uint8 [H, W, C] of a size [H, W], whose opposite edges are neighbours.

    Raises:
      InputError: a side is no multiple of the cell.
    """
    for name, side in zip(("--height", "--width"), size, strict=True):
        if side < 1 or side % torus.cell:
            raise InputError(f"{name} {side}: expected a multiple of {torus.cell}.")
    rows, columns = (jnp.arange(side // torus.cell, dtype=jnp.int32) for side in size)
    return np.asarray(to_uint8(torus.call(jnp.uint32(seed), rows, columns)))
