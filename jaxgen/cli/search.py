"""`python -m jaxgen search`: the best images that a run can draw, by a reward."""

import shlex
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import numpy as np

from jaxgen.cli.arguments import require_run, require_suffix, writing
from jaxgen.cli.conditions import fields_from_options
from jaxgen.cli.goals import GoalOptions, read_goals
from jaxgen.core.condition import Fields
from jaxgen.core.reward import Score
from jaxgen.evaluation.rewards import Goal, score_by, weighted_sum
from jaxgen.export import ExportedControls, ExportedSampler, load_controls, load_denoiser, load_sampler
from jaxgen.export.steered import steered
from jaxgen.io.errors import InputError, enough_memory
from jaxgen.io.files import write_whole
from jaxgen.io.pictures import save_grid
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.models.latents.search import Found, Method, ascend, best_of, carry_out, evolve
from jaxgen.training.config import Bounds, Positive, require_bounds
from jaxgen.training.plot import plot_search

ROWS = 1_000
"""Rows of conditions that must all be equal where a method takes a single one."""


@dataclass(frozen=True)
class Search(GoalOptions):
    """Search for the images of a run that fit a goal best, by their rewards, and draw the best ones, the best first."""

    method: Literal["best", "evolution", "gradient", "particles"] = "best"
    """best: the best of the images of the seed.  evolution: sep-CMA-ES over latents; needs `pip install cmaes`.
    gradient: Adam over codes, from the best of half the budget, for rewards that JAX can differentiate.  particles: for
    diffusion runs, images that are drawn together, without guidance, of which those with a high reward are multiplied
    on the way."""
    budget: Annotated[int, Bounds(least=1, most=1_000_000)] = 64
    """How many images are scored at most."""
    num: Annotated[int, Bounds(least=1, most=10_000)] = 8
    """How many of the best images are kept; of the images on the way of a gradient, the best one."""
    strength: Positive = 4.0
    """For particles: how strongly rewards multiply them, relative to the spread of the first rewards."""
    out: UserPath = Path("found.png")
    """A .png of the best images; beside it found.npz, with their rewards and what draws them again, and
    found_curve.png."""


def search(options: Search) -> None:
    """Searches, and writes what was found.

    Raises:
      InputError: an option is out of range, a goal or the run cannot be used, a reward failed, or a file cannot be
        written.  What was found before a reward failed is written.
    """
    require_bounds(options)
    require_suffix(options.out, ".png")
    require_run(options.run)
    if options.strength != Search.strength and options.method != "particles":
        raise InputError(f"--strength {options.strength}: only --method particles has a strength.")
    inside = options.run / "sampler"
    sampler = load_sampler(inside if inside.is_dir() else options.run)
    if "image" in sampler.conditions:
        raise InputError(f"{options.run} is conditioned on images: search from Python, with jaxgen.models.best_of.")
    goals = read_goals(options, sampler.spec)
    with enough_memory(f"--budget {options.budget} or --num {options.num}"):
        found = carry_out(_method(options, sampler, goals), options.num)
    if not len(found.rewards):
        raise InputError(f"{found.failure or 'the search was stopped'}: nothing was found.")
    _write(options, found)
    _report(options, found)
    if found.failure:
        scored = f"after {len(found.curve)} of {options.budget} images"
        raise InputError(f"{found.failure}: the search ended {scored}; {options.out} has the best of them.")


def _method(options: Search, sampler: ExportedSampler, goals: list[Goal]) -> Method:
    score, seed, budget = score_by(goals), options.seed, options.budget
    if options.method == "best":
        return _random(options, sampler, score, budget)
    if options.method == "particles":
        if not (options.run / "denoiser").is_dir():
            raise InputError(f"--method particles: {options.run} is no diffusion run, or exports no denoiser.")
        denoiser, fields = load_denoiser(options.run / "denoiser"), _one_condition(options, sampler)
        first = _random(options, sampler, score, 1)
        if budget == 1:
            return first
        steering = steered(denoiser, score, fields, seed=seed, budget=budget - 1, strength=options.strength)
        return Method(chain(first.rounds, steering.rounds), first.most + steering.most)
    if not (options.run / "controls").is_dir():
        raise InputError(f"--method {options.method}: {options.run} exports no controls; best draws from any run.")
    exported = load_controls(options.run / "controls")
    fields = _one_condition(options, exported)
    if options.method == "evolution":
        return evolve(exported.controls, score, fields, seed=seed, budget=budget)
    return ascend(exported.controls, weighted_sum(goals), fields, seed=seed, budget=budget, score=score)


def _random(options: Search, sampler: ExportedSampler, score: Score, num: int) -> Method:
    """The first images of the seed."""
    rows = fields_from_options(options, sampler, num)

    def draw(start: int, num: int) -> np.ndarray:
        fields = {name: array[start : start + num] for name, array in rows.items()}
        return sampler.draw(options.seed, num, start=start, fields=fields)

    return best_of(draw, score, budget=num)


def _one_condition(options: Search, exported: ExportedSampler | ExportedControls) -> Fields:
    """The fields [1, ...] of the only conditions that the options name."""
    rows = fields_from_options(options, exported, ROWS)
    for name, array in rows.items():
        if (array != array[:1]).any():
            raise InputError(f"--method {options.method} searches under one condition: give one --{name}.")
    return {name: jnp.asarray(array[:1]) for name, array in rows.items()}


def _write(options: Search, found: Found) -> None:
    archive, curve = options.out.with_suffix(".npz"), options.out.with_name(f"{options.out.stem}_curve.png")
    arrays: dict[str, Any] = {"rewards": found.rewards, "curve": found.curve, **found.arrays}
    with writing(archive):
        write_whole(archive, lambda file: np.savez(file, **arrays))
    with writing(options.out):
        save_grid(options.out, found.arrays["images"])
        plot_search(curve, found.curve)


def _report(options: Search, found: Found) -> None:
    """One line: the best reward, that of image 0, which every method scores first, and how to draw the best again."""
    again = "by the same command"
    if "codes" in found.arrays:
        again = f"controls.generate of codes and latents in {options.out.with_suffix('.npz')}"
    elif (number := int(found.arrays["number"][0])) >= 0:
        words = ["sample", str(options.run), "--seed", str(options.seed), "--num", str(number + 1)]
        for name in ("label", "features", "text"):
            given = getattr(options, name)
            words += [f"--{name}", *([str(given)] if isinstance(given, Path) else given)] if given else []
        again = f"image {number}, the last of python -m jaxgen {shlex.join(words)} --out again.npz"
    first = "none" if np.isnan(found.curve[0]) else f"{found.curve[0]:.4g}"
    say(
        f"Best reward {found.rewards[0]:.4g} of {len(found.curve):,} images; image 0 of seed {options.seed} has "
        f"{first}.  {options.out} has the best {len(found.rewards)}; the first is drawn again: {again}"
    )
