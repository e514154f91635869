"""Runs: a recipe trained from a config to a run directory that survives interruption."""

from jaxgen.io.program import command
from jaxgen.training.best import Best, Score, Scores
from jaxgen.training.checkpoint import Checkpoints, Retention, find_damage
from jaxgen.training.config import Bounds, Count, Positive, RunConfig, Seed
from jaxgen.training.loop import Recipe
from jaxgen.training.plot import plot_metrics
from jaxgen.training.run import best_networks, first_state, run
from jaxgen.training.run_directory import RunDirectory

__all__ = [
    "Best",
    "Bounds",
    "Checkpoints",
    "Count",
    "Positive",
    "Recipe",
    "Retention",
    "RunConfig",
    "RunDirectory",
    "Score",
    "Scores",
    "Seed",
    "best_networks",
    "command",
    "find_damage",
    "first_state",
    "plot_metrics",
    "run",
]
