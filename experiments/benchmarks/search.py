"""How often guided search beats the best of as many random images.  python experiments/benchmarks/search.py --help

A goal is a random picture, in the features of the packaged classifier.  The random images are those of another seed,
so that a second best of n is above the first one for half of the goals.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.table import Table

from jaxgen import InputError
from jaxgen.cli.arguments import read_images
from jaxgen.evaluation import Goal, mean_of, picture_reward, score_by
from jaxgen.evaluation.classifiers import packaged_classifier
from jaxgen.export import load_controls, load_denoiser, load_sampler
from jaxgen.export.steered import steered
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import progress, say
from jaxgen.models import ascend, best_of, carry_out, evolve
from jaxgen.models.latents.search import Method
from jaxgen.training import Count, Positive, Seed, UserPath, command, require_bounds


@dataclass(frozen=True)
class Options:
    """Compare the methods of `python -m jaxgen search` on a run without conditions."""

    run: Annotated[UserPath, tyro.conf.Positional]
    """Run directory."""
    data: str = "mnist"
    """The data set of the pictures."""
    data_dir: UserPath | None = None
    """The folder of prepared data sets."""
    goals: Count = 50
    """How many goals."""
    budget: Count = 64
    """Images that each method scores for a goal."""
    strength: Positive = 4.0
    """Of particles."""
    seed: Seed = 0
    """Random seed."""
    out: UserPath = Path("search.json")
    """The rewards as JSON."""


Methods = dict[str, Callable[[Goal, int], Method]]
"""A goal and a seed to a method, by name."""


def methods_of(options: Options) -> Methods:
    """The methods that the run's exports allow, after two of random images.

    Raises:
      InputError: the run is conditioned on something, or its exports cannot be read.
    """
    run, budget = options.run, options.budget
    sampler = load_sampler(run / "sampler")
    if sampler.conditions:
        raise InputError(f"{run} is conditioned on {', '.join(sampler.conditions)}; expected a run without conditions.")

    def best(goal: Goal, seed: int) -> Method:
        return best_of(lambda start, num: sampler.draw(seed, num, start=start), score_by([goal]), budget=budget)

    methods: Methods = {"random": lambda goal, seed: best(goal, seed + 2**31), "best": best}
    if (run / "controls").is_dir():
        controls = load_controls(run / "controls").controls
        methods["evolution"] = lambda goal, seed: evolve(controls, score_by([goal]), {}, seed=seed, budget=budget)
        methods["gradient"] = lambda goal, seed: ascend(controls, goal.reward, {}, seed=seed, budget=budget)
    if (run / "denoiser").is_dir():
        denoiser, strength = load_denoiser(run / "denoiser"), options.strength
        methods["particles"] = lambda goal, seed: steered(
            denoiser, score_by([goal]), {}, seed=seed, budget=budget, strength=strength
        )
    return methods


def goals_of(options: Options) -> list[Goal]:
    """Random pictures of the data."""
    rng, spec = np.random.default_rng(options.seed), load_sampler(options.run / "sampler").spec
    data, classifier = read_images(options.data, option="--data", data_dir=options.data_dir), packaged_classifier(spec)
    images = data.arrays["image"]
    if images.shape[1:] != spec:
        raise InputError(f"--data {options.data}: its images have another size than those of {options.run}.")
    return [
        Goal("picture", picture_reward(classifier, images[rng.integers(len(images))])) for _ in range(options.goals)
    ]


def main() -> None:
    """Searches as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    methods, goals = methods_of(options), goals_of(options)
    counts = np.unique(np.minimum(2 ** np.arange(32), options.budget))

    def curves(number: int) -> dict[str, list[float]]:
        """The best reward so far after 1, 2, 4, ... images of each method; NaN while a method has seen none."""
        found = {name: carry_out(method(goals[number], options.seed + number), 1) for name, method in methods.items()}
        return {name: one.curve[np.minimum(counts, len(one.curve)) - 1].tolist() for name, one in found.items()}

    rows = progress(curves, range(options.goals), "Searching for goals", may_stop=True)
    write_whole(options.out, json.dumps({"images": counts.tolist(), "best_rewards": rows}, indent=2) + "\n")
    table = Table("median reward after", *map(str, counts), "above the best random image")
    for name in methods:
        best = np.array([row[name] for row in rows])
        share = mean_of(best[:, -1] > [row["random"][-1] for row in rows]) if name != "random" else None
        table.add_row(name, *(f"{value:.4g}" for value in np.median(best, axis=0)), f"{share:.0%}" if share else "")
    say(table)


if __name__ == "__main__":
    command(main)
