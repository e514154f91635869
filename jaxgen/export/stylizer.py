"""Style transfer as one portable file: no model code is needed to call it.

`stylize.stablehlo` is a `jax.export` of (content uint8 [B, H, W, C], style uint8 [B, V, U, C], strength float32 [B],
mask uint8 [B, H, W, 1]) -> image uint8 [B, H, W, C] with the weights inside, for cpu, cuda and tpu, for any B and any
sizes.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxgen.core.image import ImageSpec, to_float, to_uint8
from jaxgen.core.types import Array
from jaxgen.export.stored import load_functions, save_functions
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath

NAME = "stylize"

Stylizer = Callable[[Array, Array, Array, Array], Array]
"""(content [B, H, W, C], style [B, V, U, C], strength [B], mask [B, H, W, 1]) to images [B, H, W, C], all float32: the
images in [-1, 1], strengths and masks in [0, 1]."""


class ExportedStylizer(NamedTuple):
    """Style transfer read from a file, of images with so many channels."""

    channels: int
    call: Callable[..., Array]

    def stylize(
        self, content: np.ndarray, style: np.ndarray, strength: float = 1.0, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """The content uint8 [H, W, C] in the style of another image [V, U, C], each of any size.

        `strength` goes from 0 to 1; where a mask uint8 [H, W, 1] is black the content stays as it is.

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


def save_stylizer(folder: AnyPath, stylizer: Stylizer, spec: ImageSpec) -> None:
    """Writes a function that transfers styles, of `exportable` networks, into a folder.

    `spec` is that of the images it was trained on.
    """
    batch, height, width, *style = export.symbolic_shape("B, H, W, V, U")
    arguments = (
        jax.ShapeDtypeStruct((batch, height, width, spec.channels), jnp.uint8),
        jax.ShapeDtypeStruct((batch, *style, spec.channels), jnp.uint8),
        jax.ShapeDtypeStruct((batch,), jnp.float32),
        jax.ShapeDtypeStruct((batch, height, width, 1), jnp.uint8),
    )

    def stylize(content: Array, style: Array, strength: Array, mask: Array) -> Array:
        return to_uint8(stylizer(to_float(content), to_float(style), strength, mask.astype(jnp.float32) / 255))

    inputs = {
        "content": f"uint8 [B, H, W, {spec.channels}]",
        "style": f"uint8 [B, V, U, {spec.channels}]",
        "strength": "float32 [B]",
        "mask": "uint8 [B, H, W, 1]",
    }
    output = f"uint8 [B, H, W, {spec.channels}]"
    save_functions(folder, {NAME: (stylize, arguments)}, spec, None, inputs=inputs, output=output)


def load_stylizer(folder: AnyPath) -> ExportedStylizer:
    """The function that transfers styles in a folder.

    Raises:
      InputError: there is none, it is damaged, or this JAX cannot read it.
    """
    functions, spec, _ = load_functions(folder, "style transfer")
    if NAME not in functions:
        raise InputError(f"{folder} holds no style transfer: it holds {', '.join(functions)}.")
    return ExportedStylizer(spec.channels, functions[NAME])
