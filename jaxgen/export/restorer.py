"""An image-to-image network as one portable file: no model code is needed to call it.

`restore.stablehlo` is a `jax.export` of (image uint8 [B, H, W, C], known uint8 [B, H, W, 1]) -> image uint8
[B, H, W, C] with the weights inside, for cpu, cuda and tpu, for any B.
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

NAME = "restore"

Restorer = Callable[[Array, Array], Array]
"""Images float32 [B, H, W, C] in [-1, 1], and where they are known, bool [B, H, W, 1], to images."""


class ExportedRestorer(NamedTuple):
    """A restoring function read from a file, of images of one size."""

    spec: ImageSpec
    call: Callable[..., Array]

    def restore(self, images: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """What it makes of images uint8 [N, H, W, C], which are known where a mask uint8 [H, W, 1] is not black.

        Raises:
          InputError: images or a mask of another size.
        """
        mask = (*self.spec[:2], 1)
        known = np.full(mask, 255, np.uint8) if known is None else known
        for name, given, expected in (
            ("images are", images.shape[1:], tuple(self.spec)),
            ("mask is", known.shape, mask),
        ):
            if given != expected:
                raise InputError(f"The {name} {list(given)}; this function takes {list(expected)}.")
        return np.asarray(self.call(images, np.broadcast_to(known, (len(images), *mask))))


def save_restorer(folder: AnyPath, restorer: Restorer, spec: ImageSpec) -> None:
    """Writes a function that restores images of a size, of `exportable` networks, into a folder."""
    (batch,) = export.symbolic_shape("B")
    arguments = tuple(jax.ShapeDtypeStruct((batch, *spec[:2], channels), jnp.uint8) for channels in (spec.channels, 1))

    def restore(images: Array, known: Array) -> Array:
        return to_uint8(restorer(to_float(images), known > 0))

    shapes = [f"uint8 [B, {spec.height}, {spec.width}, {channels}]" for channels in (spec.channels, 1)]
    inputs = dict(zip(("image", "known"), shapes, strict=True))
    save_functions(folder, {NAME: (restore, arguments)}, spec, None, inputs=inputs, output=shapes[0])


def load_restorer(folder: AnyPath) -> ExportedRestorer:
    """The restoring function in a folder.

    Raises:
      InputError: there is none, it is damaged, or this JAX cannot read it.
    """
    functions, spec, _ = load_functions(folder, "network from image to image")
    if NAME not in functions:
        raise InputError(f"{folder} restores no images: it holds {', '.join(functions)}.")
    return ExportedRestorer(spec, functions[NAME])
