"""A recipe: what an experiment builds for a run to train."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax

from jaxgen.core.sampler import Sampler
from jaxgen.core.step import init_state
from jaxgen.core.types import Array, Batch, Networks, TrainState, Update
from jaxgen.export import Export
from jaxgen.training.config import RunConfig

Scores = Mapping[str, float]
"""Values of metrics by name.  States are compared by the first one; smaller is better."""

Score = Callable[[Networks], Scores]
"""Evaluates networks."""


class Recipe(NamedTuple):
    """The networks of an experiment, how they train, and what is drawn, watched and exported.

    Only the first three are required.
    """

    networks: Callable[[Array], Networks]
    """Initialises the networks from a typed key."""
    update: Update
    """One training step.  A run watches that the metrics `update.losses` stay finite."""
    sampler: Sampler
    """Draws the sample grids; exported as `sampler/`.  The data must have the fields of its conditions."""
    discriminators: tuple[str, ...] = ()
    """The metrics that are discriminators' losses: if one stays near zero, the discriminator has won."""
    score: Score | None = None
    """Evaluates networks every `evaluate_every` steps; by default the Fréchet distance of drawn images."""
    pictures: Callable[[Networks, Batch], Mapping[str, Array]] | None = None
    """Further pictures at the end, from networks and some training examples: images uint8 [rows, columns, H, W, C] by
    file name."""
    exports: Mapping[str, Export] = {}
    """Further exports, by folder in the run directory: `{"controls": export_controls(use_ema(gan.controls))}`."""


def first_state(config: RunConfig, recipe: Recipe) -> TrainState:
    """The state before the first step, with freshly initialised networks."""
    networks, root = jax.random.split(jax.random.key(config.seed))
    return init_state(recipe.update, jax.jit(recipe.networks)(networks), root)
