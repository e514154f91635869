"""`python -m jaxgen sample`: images from a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxgen.config import Bounds, Seed, require_bounds
from jaxgen.errors import InputError
from jaxgen.export import load_sampler
from jaxgen.report import save_archive, save_grid

MOST_IN_A_GRID = 10_000


@dataclass(frozen=True)
class Sample:
    """Draw images from a run's exported sampler."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory, or the sampler/ folder of one."""
    num: Annotated[int, Bounds(least=1, most=2**31 - 1)] = 64
    """How many images."""
    seed: Seed = 0
    """Image i depends on (seed, i) alone."""
    out: Path = Path("samples.png")
    """An .npz (`arr_0`, uint8 [N, H, W, C]) or a .png grid."""


def sample(options: Sample) -> None:
    """Draws images and writes them.

    Raises:
      InputError: an option is out of range, there is no sound sampler, or the file cannot be written.
    """
    require_bounds(options)
    if options.out.suffix not in (".npz", ".png"):
        raise InputError(f"--out {options.out}: expected a name that ends in .npz or .png.")
    if options.out.suffix == ".png" and options.num > MOST_IN_A_GRID:
        raise InputError(f"--num {options.num}: a grid holds at most {MOST_IN_A_GRID:,} images; write an .npz.")
    if not options.run.is_dir():
        raise InputError(f"{options.run} is no run directory.")
    inside = options.run / "sampler"
    images = load_sampler(inside if inside.is_dir() else options.run).draw(options.seed, options.num)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        save_grid(options.out, images) if options.out.suffix == ".png" else save_archive(options.out, images)
    except OSError as error:
        raise InputError(f"--out {options.out} cannot be written: {error.strerror}.") from error
    print(f"{options.num:,} images in {options.out}")
