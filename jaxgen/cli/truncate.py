"""`python -m jaxgen truncate`: the truncation trick on images of a run."""

from dataclasses import dataclass
from pathlib import Path

from jaxgen.cli.conditions import DrawOptions
from jaxgen.cli.controls import Rows, draw_latents, fields_for, read_controls, save_rows
from jaxgen.io.program import UserPath
from jaxgen.models import truncations
from jaxgen.training.config import require_bounds


@dataclass(frozen=True)
class Truncate(DrawOptions):
    """Apply the truncation trick: move codes towards the mean code, which trades variety for typical images."""

    rows: Rows = 6
    """Images that are truncated."""
    values: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Truncation psi of each column, from 0 (the mean code) to 1 (no truncation)."""
    out: UserPath = Path("truncations.png")
    """A .png or an animated .gif."""


def draw_truncations(options: Truncate) -> None:
    """Truncates and writes the picture.

    Raises:
      InputError: an option is out of range, the run has no controls, or the file cannot be written.
    """
    require_bounds(options)
    exported = read_controls(options.run, options.out)
    fields = fields_for(options, exported, options.rows)
    latents = draw_latents(exported.controls, options.seed, 0, options.rows)
    save_rows(
        options.out, truncations(exported.controls, latents, fields, values=options.values, seed=options.seed + 1)
    )
