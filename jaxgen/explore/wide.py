"""Wide pictures that wrap around, and whole spheres around which they are bands."""

from dataclasses import replace

import numpy as np

from jaxgen.data.tokenizer import Tokenizer
from jaxgen.explore.views import View, fields_of
from jaxgen.export import ExportedDenoiser, ExportedTorus, draw_torus
from jaxgen.export.panoramas import draw_panorama
from jaxgen.export.solving import Solving
from jaxgen.io.errors import InputError
from jaxgen.io.sphere import whole_sphere
from jaxgen.models.diffusion.panorama import Windows


def wide(by: ExportedDenoiser | ExportedTorus, view: View, how: Solving, tokenizer: Tokenizer | None) -> np.ndarray:
    """A picture uint8 [H, W, C] that is `num` times as wide as the run's images, and wraps around."""
    if isinstance(by, ExportedTorus):
        height, width = (-(-side // by.cell) * by.cell for side in by.spec[:2])
        return draw_torus(by, (height, view.num * width), seed=view.seed)
    height, width, _ = by.spec
    windows = Windows(height), Windows(width, width // 2, wraps=True)
    label = view.label or ("0" if "label" in by.conditions else "")
    fields = fields_of(replace(view, label=label), by.conditions, tokenizer, 1)
    return draw_panorama(by, how, (height, view.num * width), windows, fields, seed=view.seed)


def sphere(band: np.ndarray) -> np.ndarray:
    """`whole_sphere` of a band uint8 [H, W, C].

    Raises:
      InputError: the band is not even in width, or not twice as wide as high.
    """
    height, width, _ = band.shape
    if width % 2 or 2 * height > width:
        raise InputError(f"A band of {width} by {height} is around no sphere: draw at least 2 images, an even number.")
    return whole_sphere(band)
