"""`python -m jaxgen panorama`: a picture wider than a run's images, which wraps around."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from jaxgen.cli.arguments import require_suffix, writing
from jaxgen.cli.conditions import DrawOptions, fields_of_one, negative_fields
from jaxgen.core.image import ImageSpec
from jaxgen.export import TORUS, draw_torus, load_drawing_denoiser, load_torus
from jaxgen.export.panoramas import draw_panorama
from jaxgen.export.solving import SolverName, Solving, require_solving
from jaxgen.io.errors import InputError, enough_memory
from jaxgen.io.pictures import save_image
from jaxgen.io.program import UserPath
from jaxgen.io.sphere import require_band, save_sphere, whole_sphere
from jaxgen.io.terminal import say
from jaxgen.models.diffusion.panorama import Windows
from jaxgen.training.config import Bounds, GuidanceScale, require_bounds

Side = Annotated[int, Bounds(least=1, most=2**16)]


@dataclass(frozen=True)
class Panorama(DrawOptions):
    """Draw one wide picture whose right edge continues at its left one.  Of a diffusion run, overlapping windows of the
    size of the run's images are denoised together; the generator of a texture_gan run draws it at once.
    """

    width: Side | None = None
    """Width of the picture, by default 16 times that of the run's images: a multiple of the pixels from one window, or
    one position of the noise, to the next."""
    height: Side | None = None
    """Height of the picture; by default that of the run's images."""
    overlap: Annotated[int, Bounds(least=0)] | None = None
    """Pixels by which neighbouring windows overlap; by default half of their sides.  Fewer are faster and sharper, more
    agree better."""
    tile: bool = False
    """The lower edge continues at the upper one too, as always for a texture_gan run: copies of the picture cover a
    plane without seams."""
    equirectangular: bool = False
    """Write the picture as a band around the equator of a sphere, which viewers of 360-degree panoramas show; smooth
    caps fill it up to twice as wide as high."""
    solver: SolverName = Solving().solver
    """The solver."""
    steps: Annotated[int, Bounds(least=1, most=10_000)] = Solving().steps
    """The solver's steps; heun evaluates the network twice in all but the last."""
    guidance: GuidanceScale | None = None
    """For a run with conditions: the scale of classifier-free guidance, by default the run's; 0 ignores the condition,
    1 follows it, more strengthens it.  Training must have dropped the condition now and then."""
    negative: str = ""
    """What --guidance leads away from, in place of no condition: a caption, or, for a run without captions, a label."""
    out: UserPath = Path("panorama.png")
    """A .png."""


def write_panorama(options: Panorama) -> None:
    """Draws a panorama and writes it.

    Raises:
      InputError: an option is out of range or without effect, the run draws no panoramas, windows do not fit, or the
        file cannot be written.
    """
    require_bounds(options)
    require_suffix(options.out, ".png")
    draw = _torus if (options.run / TORUS).is_dir() else _from_windows
    picture = draw(options)
    picture, save = (whole_sphere(picture), save_sphere) if options.equirectangular else (picture, save_image)
    with writing(options.out):
        save(options.out, picture)
    say(f"{picture.shape[0]}x{picture.shape[1]} (height x width) in {options.out}")


def _from_windows(options: Panorama) -> np.ndarray:
    """The picture by a diffusion run."""
    if (denoiser := load_drawing_denoiser(options.run)) is None:
        raise InputError(f"{options.run} is no diffusion run, or exports no denoiser.")
    how = Solving(options.solver, options.steps, options.guidance)
    if options.negative:
        how = how._replace(negative=negative_fields(options.negative, options.run, denoiser))
    require_solving(how, denoiser)
    size = _size(options, denoiser.spec)
    windows = _windows(options, denoiser.spec, size)
    fields = fields_of_one(options, denoiser, "a panorama")
    with enough_memory(f"--width {size[1]}"):
        return draw_panorama(denoiser, how, size, windows, fields, seed=options.seed)


def _torus(options: Panorama) -> np.ndarray:
    """The picture by a generator of tori."""
    torus = load_torus(options.run / TORUS)
    default = Panorama(options.run)
    for name in ("overlap", "solver", "steps", "guidance", "negative", "label", "features", "text"):
        if (value := getattr(options, name)) != getattr(default, name):
            given = " ".join(map(str, value)) if isinstance(value, tuple) else value
            raise InputError(f"--{name} {given}: {options.run} draws at once and without conditions; leave it out.")
    size = _size(options, torus.spec)
    with enough_memory(f"--width {size[1]}"):
        return draw_torus(torus, size, seed=options.seed)


def _size(options: Panorama, spec: ImageSpec) -> tuple[int, int]:
    """The size [H, W] of the picture.

    Raises:
      InputError: it is not that of a band around a sphere, if that is asked for.
    """
    size = options.height or spec.height, options.width or 16 * spec.width
    if options.equirectangular:
        require_band(*size)
    if options.equirectangular and options.tile:
        raise InputError("--equirectangular --tile: the poles of a sphere do not meet; leave one out.")
    return size


def _windows(options: Panorama, spec: ImageSpec, size: tuple[int, int]) -> tuple[Windows, Windows]:
    """The windows of the picture's rows and columns."""
    rows, columns = (
        Windows(side, side // 2 if options.overlap is None else options.overlap, wraps)
        for side, wraps in zip(spec[:2], (options.tile, True), strict=True)
    )
    rows.starts(size[0], f"--height {size[0]}")
    columns.starts(size[1], f"--width {size[1]}")
    return rows, columns
