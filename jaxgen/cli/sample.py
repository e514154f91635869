"""`python -m jaxgen sample`: images drawn from a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from jaxgen.cli.arguments import require_run, require_suffix, writing
from jaxgen.cli.conditions import DrawOptions, fields_from_options, negative_fields
from jaxgen.data.class_names import listed
from jaxgen.export import ExportedSampler, load_drawing_denoiser, load_sampler
from jaxgen.export.films import FRAME_SAMPLER
from jaxgen.export.solving import SolverName, Solving, draw_by_solver, require_solving
from jaxgen.io.archive import save_archive
from jaxgen.io.errors import InputError, enough_memory
from jaxgen.io.pictures import EMPTY, save_grid
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.training.config import Bounds, GuidanceScale, require_bounds

SUFFIXES = (".npz", ".png")
MOST_IN_A_GRID = 10_000


@dataclass(frozen=True)
class Sample(DrawOptions):
    """Draw images from a run (its directory, its best/ or its sampler/)."""

    num: Annotated[int, Bounds(least=1, most=2**31 - 1)] = 64
    """How many images."""
    images: str = ""
    """A folder of images or an archive (.npz, .npy, .zip, .tar, .tar.gz) that condition the drawn images in turn.  For
    image-to-image runs."""
    solver: SolverName | None = None
    """For a diffusion run: the solver that draws, with any of the next three; by default the run's own draws."""
    steps: Annotated[int, Bounds(least=1, most=10_000)] | None = None
    """For a diffusion run: the solver's steps, 16 by default; heun evaluates the network twice in all but the last."""
    guidance: GuidanceScale | None = None
    """For a diffusion run with conditions: the scale of classifier-free guidance, by default the run's; 0 ignores the
    condition, 1 follows it, more strengthens it.  Training must have dropped the condition now and then."""
    negative: str = ""
    """What --guidance leads away from, in place of no condition: a caption, or, for a run without captions, a label."""
    out: UserPath = Path("samples.png")
    """An .npz (`arr_0` uint8 [N, H, W, C]; `arr_1`, the labels) or a .png grid, with a row for each label or
    caption."""


def sample(options: Sample) -> None:
    """Draws images and writes them.

    Raises:
      InputError: an option is out of range, the sampler is missing or damaged, or the file cannot be written.
    """
    require_bounds(options)
    if (options.run / FRAME_SAMPLER).is_dir() and options.out.suffix not in SUFFIXES:
        raise InputError(f"--out {options.out}: `python -m jaxgen film {options.run} --out {options.out}` draws films.")
    require_suffix(options.out, *SUFFIXES)
    if options.out.suffix == ".png" and options.num > MOST_IN_A_GRID:
        raise InputError(f"--num {options.num}: a grid holds at most {MOST_IN_A_GRID:,} images; write an .npz.")
    require_run(options.run)
    inside = options.run / "sampler"
    sampler = load_sampler(inside if inside.is_dir() else options.run)
    with enough_memory(f"--num {options.num}"):
        sampler.require_memory(options.num)
        fields = fields_from_options(options, sampler, options.num, images=options.images)
        images = _draw(options, sampler, fields)
    label = fields.get("label")
    with writing(options.out):
        if options.out.suffix == ".png":
            _save_rows(options.out, images, np.arange(options.num) % len(options.text) if options.text else label)
        else:
            save_archive(options.out, images, label)
    drawn = "" if label is None else _names(sampler.conditions["label"].class_names, label)
    say(f"{options.num:,} images in {options.out}{drawn}")


def _draw(options: Sample, sampler: ExportedSampler, fields: Mapping[str, np.ndarray]) -> np.ndarray:
    """The images uint8 [num, H, W, C], drawn by the run's sampler or, if an option asks for it, by another solver."""
    asked = {name: value for name in Solving._fields if (value := getattr(options, name)) not in (None, "")}
    if not asked:
        return sampler.draw(options.seed, options.num, fields=fields)
    name, value = next(iter(asked.items()))
    if (denoiser := load_drawing_denoiser(options.run)) is None:
        raise InputError(f"--{name} {value}: {options.run} is no diffusion run, or exports no denoiser of images.")
    if options.negative:
        asked["negative"] = negative_fields(options.negative, options.run, denoiser)
    how = Solving(**asked)
    require_solving(how, denoiser)
    return draw_by_solver(denoiser, how, options.seed, options.num, fields)


def _names(class_names: tuple[str, ...], label: np.ndarray) -> str:
    """The names of the classes among labels [N] in the order of a grid's rows, for the end of a message."""
    return f": {listed([class_names[number] for number in np.unique(label)])}" if class_names else ""


def _save_rows(path: Path, images: np.ndarray, row: np.ndarray | None) -> None:
    """Writes a grid in which the images [N, H, W, C] with the same number `row` [N] share a row."""
    if row is None or len(np.unique(row)) == 1:
        save_grid(path, images)
        return
    numbers, counts = np.unique(row, return_counts=True)
    grid = np.full((len(numbers), counts.max(), *images.shape[1:]), EMPTY, np.uint8)
    for place, (number, count) in enumerate(zip(numbers, counts, strict=True)):
        grid[place, :count] = images[row == number]
    save_grid(path, grid.reshape(-1, *images.shape[1:]), columns=int(counts.max()))
