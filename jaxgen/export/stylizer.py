"""Style transfer as one portable file: no model code is needed to call it.

`stylize.stablehlo` is a `jax.export` of (content uint8 [B, H, W, C], style uint8 [B, V, U, C], strength float32 [B],
mask uint8 [B, H, W, 1]) -> image uint8 [B, H, W, C] with the weights inside, for cpu, cuda and tpu, for any B and any
sizes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxgen.core.controls import Stylizer
from jaxgen.core.image import to_float, to_uint8
from jaxgen.core.types import Array, Networks
from jaxgen.export.stored import Export, ExportInfo, exportable, load_functions, save_functions
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath

NAME = "stylize"


class ExportedStylizer(NamedTuple):
    """Style transfer read from a folder, for images with this number of channels."""

    channels: int
    call: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Array]

    def stylize(
        self, content: np.ndarray, style: np.ndarray, strength: float = 1.0, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """The content uint8 [H, W, C] in the style of another image [V, U, C], each of any size.

        `strength` is from 0 (the content, reconstructed) to 1 (full stylisation).  Where a mask uint8 [H, W, 1] is 0
        the content stays unchanged.

        Raises:
          InputError: an image has other channels, or the mask another size.
        """
        for name, image in (("content", content), ("style", style)):
            if image.shape[2] != self.channels:
                raise InputError(f"The {name} has {image.shape[2]} channels; this function takes {self.channels}.")
        size = (*content.shape[:2], 1)
        mask = np.full(size, 255, np.uint8) if mask is None else mask
        if mask.shape != size:
            raise InputError(f"The mask is {list(mask.shape)}; expected {list(size)}, the size of the content.")
        result = self.call(content[None], style[None], np.full(1, strength, np.float32), mask[None])
        return np.asarray(result)[0]


def export_stylizer(stylizer: Callable[[Networks], Stylizer]) -> Export:
    """Exports style transfer: `export_stylizer(use_ema(model.stylizer))`."""

    def write(folder: Path, networks: Networks, info: ExportInfo) -> None:
        (batch, height, width, *style), channels = export.symbolic_shape("B, H, W, V, U"), info.spec.channels
        arguments = (
            jax.ShapeDtypeStruct((batch, height, width, channels), jnp.uint8),
            jax.ShapeDtypeStruct((batch, *style, channels), jnp.uint8),
            jax.ShapeDtypeStruct((batch,), jnp.float32),
            jax.ShapeDtypeStruct((batch, height, width, 1), jnp.uint8),
        )
        function = stylizer(exportable(networks))

        def stylize(content: Array, style: Array, strength: Array, mask: Array) -> Array:
            return to_uint8(function(to_float(content), to_float(style), strength, mask.astype(jnp.float32) / 255))

        image = f"uint8 [B, H, W, {channels}]"
        inputs = {
            "content": image,
            "style": f"uint8 [B, V, U, {channels}]",
            "strength": "float32 [B]",
            "mask": "uint8 [B, H, W, 1]",
        }
        save_functions(folder, {NAME: (stylize, arguments)}, ExportInfo(info.spec), inputs=inputs, output=image)

    return write


def load_stylizer(folder: AnyPath) -> ExportedStylizer:
    """The style transfer in a folder.

    Raises:
      InputError: there is none, it is damaged, or this JAX cannot read it.
    """
    functions, spec, *_ = load_functions(folder, "style transfer", NAME)
    return ExportedStylizer(spec.channels, functions[NAME])
