"""`python -m jaxgen sample`: images from a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxgen.cli.arguments import require_suffix, writing
from jaxgen.cli.conditions import fields_from_options
from jaxgen.export import load_sampler
from jaxgen.io.archive import save_archive
from jaxgen.io.errors import InputError
from jaxgen.io.pictures import save_grid
from jaxgen.training.config import Bounds, Seed, require_bounds

MOST_IN_A_GRID = 10_000


@dataclass(frozen=True)
class Sample:
    """Draw images from a run's exported sampler."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory, or the sampler/ folder of one."""
    num: Annotated[int, Bounds(least=1, most=2**31 - 1)] = 64
    """How many images."""
    seed: Seed = 0
    """Image i depends on (seed, i) and what it is told alone."""
    label: tuple[int, ...] = ()
    """Classes to draw, in turn; by default all.  For conditional runs."""
    features: Path | None = None
    """An .npz whose `features` [N, F] are told in turn.  For runs that are conditioned on features."""
    images: str = ""
    """A folder of images or an .npz, of which they are made in turn.  For runs from image to image."""
    text: tuple[str, ...] = ()
    """Words to draw, in turn, e.g. "a red heart".  For runs that are conditioned on text."""
    out: Path = Path("samples.png")
    """An .npz (`arr_0`, uint8 [N, H, W, C]; `arr_1`, the labels) or a .png grid, with a row for each
    label or text."""


def sample(options: Sample) -> None:
    """Draws images and writes them.

    Raises:
      InputError: an option is out of range, there is no sound sampler, or the file cannot be written.
    """
    require_bounds(options)
    require_suffix(options.out, ".npz", ".png")
    if options.out.suffix == ".png" and options.num > MOST_IN_A_GRID:
        raise InputError(f"--num {options.num}: a grid holds at most {MOST_IN_A_GRID:,} images; write an .npz.")
    if not options.run.is_dir():
        raise InputError(f"{options.run} is no run directory.")
    inside = options.run / "sampler"
    sampler = load_sampler(inside if inside.is_dir() else options.run)
    field = fields_from_options(
        options.run,
        sampler.told,
        options.num,
        label=options.label,
        features=options.features,
        text=options.text,
        images=options.images,
    )
    images = sampler.draw(options.seed, options.num, field=field)
    label = field if sampler.told is not None and sampler.told.classes else None
    with writing(options.out):
        if options.out.suffix == ".png":
            _save_rows(options.out, images, np.arange(options.num) % len(options.text) if options.text else label)
        else:
            save_archive(options.out, images, label)
    print(f"{options.num:,} images in {options.out}")


def _save_rows(path: Path, images: np.ndarray, row: np.ndarray | None) -> None:
    if row is None or len(np.unique(row)) == 1:
        save_grid(path, images)
        return
    order = np.argsort(row, kind="stable")
    save_grid(path, images[order], columns=int(np.bincount(row).max()))
