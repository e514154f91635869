"""Wide pictures that wrap around, for the views of the page."""

from dataclasses import replace

import numpy as np

from jaxgen.data.tokenizer import Tokenizer
from jaxgen.explore.views import View, fields_of
from jaxgen.export import ExportedDenoiser, ExportedTorus, draw_torus
from jaxgen.export.panoramas import draw_panorama
from jaxgen.export.solving import Solving
from jaxgen.models.diffusion.panorama import Windows


def draw_wide(
    model: ExportedDenoiser | ExportedTorus, view: View, how: Solving, tokenizer: Tokenizer | None
) -> np.ndarray:
    """A picture uint8 [H, W, C] that is `num` times as wide as the run's images, and wraps around."""
    if isinstance(model, ExportedTorus):
        height, width = (-(-side // model.cell) * model.cell for side in model.spec[:2])
        return draw_torus(model, (height, view.num * width), seed=view.seed)
    height, width, _ = model.spec
    windows = Windows(height), Windows(width, width // 2, wraps=True)
    label = view.label or ("0" if "label" in model.conditions else "")
    fields = fields_of(replace(view, label=label), model.conditions, tokenizer, 1)
    return draw_panorama(model, how, (height, view.num * width), windows, fields, seed=view.seed)
