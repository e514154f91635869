"""`python -m jaxgen mix`: style mixing with a style-based generator."""

from dataclasses import dataclass
from pathlib import Path

from jaxgen.cli.conditions import DrawOptions
from jaxgen.cli.controls import Rows, draw_latents, fields_for, read_controls, save_rows
from jaxgen.io.errors import InputError
from jaxgen.io.program import UserPath
from jaxgen.models import style_mixtures
from jaxgen.training.config import require_bounds


@dataclass(frozen=True)
class Mix(DrawOptions):
    """Mix styles: draw the content of some images in the style of others.  For style-based generators."""

    layer: int = 2
    """The first layer, counted from 0, that takes the style image's style; earlier ones take the content image's."""
    rows: Rows = 6
    """Content images, down the first column."""
    columns: Rows = 8
    """Style images, across the first row."""
    out: UserPath = Path("mixtures.png")
    """A .png or an animated .gif."""


def draw_mixtures(options: Mix) -> None:
    """Mixes styles and writes the picture.

    Raises:
      InputError: an option is out of range, the generator has no styles, or the file cannot be written.
    """
    require_bounds(options)
    exported = read_controls(options.run, options.out)
    fields, style_fields = (fields_for(options, exported, num) for num in (options.rows, options.columns))
    latents = draw_latents(exported.controls, options.seed, 0, options.rows + options.columns)
    content, style = latents[: options.rows], latents[options.rows :]
    layers = exported.controls.codes(content, fields).shape[1]
    if layers == 1:
        raise InputError(f"{options.run} has no style-based generator: its layers have no styles of their own.")
    if not 0 <= options.layer <= layers:
        raise InputError(f"--layer {options.layer}: expected 0 (all style) to {layers} (all content).")
    images = style_mixtures(exported.controls, content, style, fields, layer=options.layer, style_fields=style_fields)
    save_rows(options.out, images)
