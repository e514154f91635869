"""What a run tells: image grids, plots, the run directory, the terminal."""

from jaxgen.report.archive import save_archive
from jaxgen.report.display import Display
from jaxgen.report.divergence import save_divergence
from jaxgen.report.grid import picture, save_animation, save_grid, save_image
from jaxgen.report.plot import plot_metrics
from jaxgen.report.run_directory import RunDirectory, require_same_run

__all__ = [
    "Display",
    "RunDirectory",
    "picture",
    "plot_metrics",
    "require_same_run",
    "save_animation",
    "save_archive",
    "save_divergence",
    "save_grid",
    "save_image",
]
