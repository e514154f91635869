"""`python -m jaxgen interpolate`, `truncate`, `mix`, `directions`: where a run's generator can be steered to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jax.numpy as jnp
import numpy as np
import tyro

from jaxgen.cli.arguments import require_suffix, writing
from jaxgen.cli.conditions import fields_from_options
from jaxgen.core.types import Array
from jaxgen.export import ExportedControls, load_controls
from jaxgen.io.errors import InputError
from jaxgen.io.pictures import save_animation, save_grid
from jaxgen.models import find_directions, interpolations, style_mixtures, traversals, truncations
from jaxgen.models.latents.controls import Controls
from jaxgen.training.config import Bounds, Count, Seed, require_bounds

SAMPLES = 2_000
"""Latents that directions are found from."""

Rows = Annotated[int, Bounds(least=1, most=100)]


@dataclass(frozen=True)
class Steered:
    """What all of these ask for."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    seed: Seed = 0
    """Seed of the images that it starts from: those of `sample` with the same seed."""
    label: tuple[int, ...] = ()
    """Classes of the rows, in turn; by default all.  For conditional runs."""
    features: Path | None = None
    """An .npz whose `features` [N, F] the rows are told in turn.  For runs that are conditioned on features."""
    text: tuple[str, ...] = ()
    """What the rows are told, in turn.  For runs that are conditioned on text."""


@dataclass(frozen=True)
class Interpolate(Steered):
    """Draw the ways between images: a row each, or an animation."""

    rows: Rows = 6
    """Ways."""
    columns: Annotated[int, Bounds(least=2, most=1_000)] = 10
    """Images of a way, both ends included; of an animation its frames."""
    spherical: bool = False
    """Along great circles, which keep the lengths of normal latents, rather than straight lines."""
    out: Path = Path("ways.png")
    """A .png or an animated .gif."""


@dataclass(frozen=True)
class Truncate(Steered):
    """Draw images from the mean code to the code as drawn: from typical to varied."""

    rows: Rows = 6
    """Images that are truncated."""
    values: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """How far from the mean, 0 to 1, a column each."""
    out: Path = Path("truncations.png")
    """A .png or an animated .gif."""


@dataclass(frozen=True)
class Mix(Steered):
    """Draw the content of some images in the style of others.  For style-based generators."""

    layer: int = 2
    """The first layer that is told the style."""
    rows: Rows = 6
    """Contents, down the first column."""
    columns: Rows = 8
    """Styles, across the first row."""
    out: Path = Path("mixtures.png")
    """A .png or an animated .gif."""


@dataclass(frozen=True)
class Directions(Steered):
    """Draw one image moved along the directions that change images most: a row each, or an animation."""

    image: Annotated[int, Bounds(least=0, most=2**31 - 1)] = 0
    """The number of the image in the stream of the seed."""
    method: Literal["sefa", "ganspace"] = "sefa"
    """From the first layer's weights, or from the principal components of what it makes of 2,000 latents."""
    rows: Rows = 6
    """Directions, the strongest first."""
    columns: Count = 9
    """Steps along each."""
    reach: Annotated[float, Bounds(above=0)] = 2.0
    """How far they go in both ways, in standard deviations."""
    out: Path = Path("directions.png")
    """A .png or an animated .gif."""


def steer(options: Interpolate | Truncate | Mix | Directions) -> None:
    """Draws what the options say and writes it.

    Raises:
      InputError: an option is out of range, the run has no controls, or the file cannot be written.
    """
    require_bounds(options)
    require_suffix(options.out, ".png", ".gif")
    exported = read_controls(options.run)
    draw = {Interpolate: _interpolate, Truncate: _truncate, Mix: _mix, Directions: _directions}[type(options)]
    save_rows(options.out, np.asarray(draw(options, exported)))


def read_controls(run: Path) -> ExportedControls:
    """The controls of a run.

    Raises:
      InputError: there is no such run, or it has none.
    """
    if not run.is_dir():
        raise InputError(f"{run} is no run directory.")
    return load_controls(run / "controls")


def save_rows(path: Path, images: np.ndarray) -> None:
    """Writes images [rows, columns, H, W, C] as a grid, or a frame for each column, and says so.

    Raises:
      InputError: the file cannot be written.
    """
    rows, columns = images.shape[:2]
    with writing(path):
        if path.suffix == ".gif":
            save_animation(path, np.moveaxis(images, 1, 0))
        else:
            save_grid(path, images.reshape(-1, *images.shape[2:]), columns=columns)
    print(f"{rows} rows of {columns} images in {path}")


def told_rows(options: Steered, exported: ExportedControls, rows: int) -> tuple[Array, ...]:
    """What each row is told, [rows, ...], if there is anything to tell."""
    field = fields_from_options(
        options.run, exported.told, rows, label=options.label, features=options.features, text=options.text
    )
    return () if field is None else (jnp.asarray(field),)


def latents_of(controls: Controls, seed: int, first: int, number: int) -> Array:
    """The latents [number, Z] of the images from `first` on in the stream of a seed."""
    return controls.draw(jnp.uint32(seed % 2**32), first + jnp.arange(number, dtype=jnp.int32))


def _interpolate(options: Interpolate, exported: ExportedControls) -> Array:
    field = told_rows(options, exported, options.rows)
    latents = latents_of(exported.controls, options.seed, 0, 2 * options.rows)
    return interpolations(exported.controls, latents, *field, columns=options.columns, spherical=options.spherical)


def _truncate(options: Truncate, exported: ExportedControls) -> Array:
    field = told_rows(options, exported, options.rows)
    latents = latents_of(exported.controls, options.seed, 0, options.rows)
    return truncations(exported.controls, latents, *field, values=options.values, seed=options.seed + 1)


def _mix(options: Mix, exported: ExportedControls) -> Array:
    field, style_field = (told_rows(options, exported, number) for number in (options.rows, options.columns))
    latents = latents_of(exported.controls, options.seed, 0, options.rows + options.columns)
    layers = exported.controls.codes(latents[: options.rows], *field).shape[1]
    if layers == 1:
        raise InputError(f"{options.run} is of no style-based generator: its layers are not told styles of their own.")
    if not 0 <= options.layer <= layers:
        raise InputError(f"--layer {options.layer}: expected 0 (all style) to {layers} (all content).")
    content, style = latents[: options.rows], latents[options.rows :]
    return style_mixtures(exported.controls, content, style, *field, layer=options.layer, style_field=style_field)


def _directions(options: Directions, exported: ExportedControls) -> Array:
    controls, one = exported.controls, told_rows(options, exported, 1)
    everything = tuple(jnp.repeat(array, SAMPLES, axis=0) for array in one)
    latents = latents_of(controls, options.seed + 1, 0, SAMPLES)
    found = find_directions(controls, latents, *everything, number=options.rows, method=options.method)
    steps = jnp.linspace(-options.reach, options.reach, options.columns)
    return traversals(controls, latents_of(controls, options.seed, options.image, 1)[0], found, *one, steps=steps)
