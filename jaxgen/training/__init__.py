"""Runs: a recipe trained from a config to a run directory that survives interruption.

    config          RunConfig  Bounds  Count  GuidanceScale  Positive  Seed  UserPath  UserSize  require_bounds
    recipe          Recipe  Score  Scores  first_state
    run             run  command  best_networks  post_hoc_network  load_split
    without a run   fit  Measured
    run directory   RunDirectory  plot_metrics
    best state      Best  frechet_score
    checkpoints     Checkpoints  Retention  find_damage
    watchdog        Watched  Signs  Divergence  observe  diagnose

An experiment needs the first three.
"""

from jaxgen.io.program import UserPath, UserSize, command
from jaxgen.training.best import Best, frechet_score
from jaxgen.training.checkpoint import Checkpoints, Retention
from jaxgen.training.config import Bounds, Count, GuidanceScale, Positive, RunConfig, Seed, require_bounds
from jaxgen.training.dispatch import Measured
from jaxgen.training.fit import fit
from jaxgen.training.manifest import find_damage
from jaxgen.training.plot import plot_metrics
from jaxgen.training.post_hoc import post_hoc_network
from jaxgen.training.prepare import load_split
from jaxgen.training.recipe import Recipe, Score, Scores, first_state
from jaxgen.training.run import best_networks, run
from jaxgen.training.run_directory import RunDirectory
from jaxgen.training.watchdog import Divergence, Signs, Watched, diagnose, observe

__all__ = [
    "Best",
    "Bounds",
    "Checkpoints",
    "Count",
    "Divergence",
    "GuidanceScale",
    "Measured",
    "Positive",
    "Recipe",
    "Retention",
    "RunConfig",
    "RunDirectory",
    "Score",
    "Scores",
    "Seed",
    "Signs",
    "UserPath",
    "UserSize",
    "Watched",
    "best_networks",
    "command",
    "diagnose",
    "find_damage",
    "first_state",
    "fit",
    "frechet_score",
    "load_split",
    "observe",
    "plot_metrics",
    "post_hoc_network",
    "require_bounds",
    "run",
]
