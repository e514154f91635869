"""`python -m jaxgen directions`: an image of a run moved along directions of the latent space."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jax.numpy as jnp

from jaxgen.cli.conditions import DrawOptions
from jaxgen.cli.controls import Rows, draw_latents, fields_for, read_controls, save_rows
from jaxgen.io.program import UserPath
from jaxgen.models import find_directions, traversals
from jaxgen.training.config import Bounds, Count, require_bounds

SAMPLES = 2_000
"""Latents that directions are computed from."""


@dataclass(frozen=True)
class Directions(DrawOptions):
    """Move one image along the directions of the latent space that change images most: a row each, or an animation."""

    image: Annotated[int, Bounds(least=0, most=2**31 - 1)] = 0
    """The number of the image: image i of `sample` with the same seed."""
    method: Literal["sefa", "ganspace"] = "sefa"
    """sefa: right singular vectors of the first layer's weights A (eigenvectors of A^T A); ganspace: principal
    components of its outputs for 2,000 latents."""
    rows: Rows = 6
    """Directions, the strongest first."""
    columns: Count = 9
    """Steps along each direction."""
    reach: Annotated[float, Bounds(above=0)] = 2.0
    """The first and the last step, in standard deviations to either side."""
    out: UserPath = Path("directions.png")
    """A .png or an animated .gif."""


def draw_directions(options: Directions) -> None:
    """Finds directions, moves the image along them and writes the picture.

    Raises:
      InputError: an option is out of range, the run has no controls, or the file cannot be written.
    """
    require_bounds(options)
    exported = read_controls(options.run, options.out)
    controls, fields = exported.controls, fields_for(options, exported, 1)
    repeated = {name: jnp.repeat(array, SAMPLES, axis=0) for name, array in fields.items()}
    latents = draw_latents(controls, options.seed + 1, 0, SAMPLES)
    directions = find_directions(controls, latents, repeated, num=options.rows, method=options.method)
    latent = draw_latents(controls, options.seed, options.image, 1)[0]
    steps = jnp.linspace(-options.reach, options.reach, options.columns)
    save_rows(options.out, traversals(controls, latent, directions, fields, steps=steps))
