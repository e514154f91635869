"""`python -m jaxgen interpolate`: interpolations between images in the latent space of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from jaxgen.cli.conditions import DrawOptions
from jaxgen.cli.controls import Rows, draw_latents, fields_for, read_controls, save_rows
from jaxgen.io.program import UserPath
from jaxgen.models import interpolations
from jaxgen.training.config import Bounds, require_bounds


@dataclass(frozen=True)
class Interpolate(DrawOptions):
    """Interpolate between images in the latent space: a row for each pair, or an animation."""

    rows: Rows = 6
    """Pairs of images to interpolate between."""
    columns: Annotated[int, Bounds(least=2, most=1_000)] = 10
    """Images in a row, both ends included; frames of an animation."""
    spherical: bool = False
    """Interpolate along great circles, which keep the norm of Gaussian latents, instead of straight lines."""
    out: UserPath = Path("interpolations.png")
    """A .png or an animated .gif."""


def draw_interpolations(options: Interpolate) -> None:
    """Interpolates and writes the picture.

    Raises:
      InputError: an option is out of range, the run has no controls, or the file cannot be written.
    """
    require_bounds(options)
    exported = read_controls(options.run, options.out)
    fields = fields_for(options, exported, options.rows)
    latents = draw_latents(exported.controls, options.seed, 0, 2 * options.rows)
    images = interpolations(exported.controls, latents, fields, columns=options.columns, spherical=options.spherical)
    save_rows(options.out, images)
