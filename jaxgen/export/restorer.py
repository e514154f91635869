"""An image-to-image network as one portable file: no model code is needed to call it.

`restore.stablehlo` is a `jax.export` of (image uint8 [B, H, W, C], known uint8 [B, H, W, 1]) -> image uint8
[B, H, W, C] with the weights inside, for cpu, cuda and tpu, for any B.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxgen.core.controls import Restorer
from jaxgen.core.image import ImageSpec, to_float, to_uint8
from jaxgen.core.types import Array, Networks
from jaxgen.export.stored import Export, ExportInfo, exportable, load_functions, save_functions
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath

NAME = "restore"


class ExportedRestorer(NamedTuple):
    """A restorer read from a folder, for images of one size."""

    spec: ImageSpec
    call: Callable[[np.ndarray, np.ndarray], Array]

    def restore(self, images: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """Restores images uint8 [N, H, W, C], whose pixels are unknown where a mask uint8 [H, W, 1] is 0.

        Raises:
          InputError: images or a mask of another size.
        """
        mask = (*self.spec[:2], 1)
        known = np.full(mask, 255, np.uint8) if known is None else known
        for name, shape, expected in (
            ("images are", images.shape[1:], tuple(self.spec)),
            ("mask is", known.shape, mask),
        ):
            if shape != expected:
                raise InputError(f"The {name} {list(shape)}; this function takes {list(expected)}.")
        return np.asarray(self.call(images, np.broadcast_to(known, (len(images), *mask))))


def export_restorer(restorer: Callable[[Networks], Restorer]) -> Export:
    """Exports an image-to-image network: `export_restorer(use_ema(model.restorer))`."""

    def write(folder: Path, networks: Networks, info: ExportInfo) -> None:
        (batch,), (height, width, channels) = export.symbolic_shape("B"), info.spec
        arguments = tuple(jax.ShapeDtypeStruct((batch, height, width, last), jnp.uint8) for last in (channels, 1))
        function = restorer(exportable(networks))

        def restore(images: Array, known: Array) -> Array:
            return to_uint8(function(to_float(images), known > 0))

        image, known = (f"uint8 [B, {height}, {width}, {last}]" for last in (channels, 1))
        inputs = {"image": image, "known": known}
        info = ExportInfo(info.spec)
        save_functions(folder, {NAME: (restore, arguments)}, info, inputs=inputs, output=image)

    return write


def load_restorer(folder: AnyPath) -> ExportedRestorer:
    """The restorer in a folder.

    Raises:
      InputError: there is none, it is damaged, or this JAX cannot read it.
    """
    functions, spec, *_ = load_functions(folder, "restorer", NAME)
    return ExportedRestorer(spec, functions[NAME])
