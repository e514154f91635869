"""What a search among a few images of a caption is worth.  python experiments/benchmarks/search_words.py --help

For each held-out caption a run draws images, and a matching network chooses the one that fits the caption best.
Another network, from another seed, measures the retrieval accuracy of the chosen ones: the errors of the one that chose
are not its own.  With a second run, such as the first after twice the steps, the table compares search with training:

    python experiments/classifiers/emoji_matcher.py --data <folder> --steps 1500 --seed 1 --out runs/chooser
    python experiments/benchmarks/search_words.py runs/half runs/whole --data <folder> --chooser runs/chooser \\
        --matcher runs/emoji_matcher
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.table import Table

from jaxgen import InputError, load
from jaxgen.data import load as load_data
from jaxgen.data.dataset import shrink_images
from jaxgen.evaluation import Estimate, Matcher, hold_out_captions, load_matcher, retrieval_accuracy
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import progress, say
from jaxgen.training import Count, Seed, UserPath, command, require_bounds


@dataclass(frozen=True)
class Options:
    """Measure the retrieval accuracy of the best of 1, 2, 4, ... images for each held-out caption."""

    runs: Annotated[tuple[UserPath, ...], tyro.conf.Positional]
    """Run directories of text-to-image models."""
    data: str
    """The folder of images with captions that they trained on."""
    chooser: UserPath
    """The matching network that chooses."""
    matcher: UserPath
    """The matching network of the evaluation, of the same captions."""
    budget: Count = 8
    """Images that the largest search draws for a caption."""
    words: Count = 12
    """The largest number of words of a caption, as in training."""
    vocabulary: Count = 4_096
    """The largest size of the vocabulary, as in training."""
    seed: Seed = 0
    """Random seed."""
    out: UserPath = Path("search_words.json")
    """The accuracies as JSON: for each run and number of images, by `matcher` and by `chooser`."""


def held_out_captions(options: Options) -> list[str]:
    """The captions that neither the runs nor the matching networks trained on.

    Raises:
      InputError: a matching network was trained on others.
    """
    data = load_data(options.data)
    for matcher in (options.chooser, options.matcher):
        _, held_out = hold_out_captions(data, words=options.words, vocabulary=options.vocabulary, matcher=matcher)
    return sorted(set(held_out.captions))


def accuracies(
    chosen_by: tuple[np.ndarray, ...], measured_by: tuple[np.ndarray, ...], budgets: list[int]
) -> list[Estimate]:
    """By how many images each caption chooses from: the retrieval accuracy of the chosen ones.

    The features of both networks are of N images of each of M captions, [N, M, F], and of the captions, [M, F].
    """
    fit, captions = np.einsum("nmf,mf->nm", *chosen_by), np.arange(len(measured_by[1]))
    return [retrieval_accuracy(measured_by[0][fit[:n].argmax(0), captions], measured_by[1]) for n in budgets]


def features_of(matcher: Matcher, images: np.ndarray, captions: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The features of images [N, M, H, W, C] and of their M captions: [N, M, F] and [M, F]."""
    flat, texts = matcher.extract(images.reshape(-1, *images.shape[2:]), captions * len(images))
    return flat.reshape(*images.shape[:2], -1), texts[: len(captions)]


def draw(run: Path, captions: list[str], options: Options) -> np.ndarray:
    """Images [N, M, 32, 32, 3]: N of each of M captions, at the size that matching networks take."""
    sampler, count = load(run), len(captions)

    def images(number: int) -> np.ndarray:
        drawn = sampler.draw(options.seed, count, start=number * count, text=captions)
        return shrink_images(drawn, 32, str(run))

    return np.stack(progress(images, range(options.budget), f"Drawing for {count} captions by {run}"))


def main() -> None:
    """Measures as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    if not options.runs:
        raise InputError("No run is given: expected at least one run directory.")
    if options.chooser.resolve() == options.matcher.resolve():
        raise InputError(f"--matcher {options.matcher} is the --chooser too; expected one of another seed.")
    captions = held_out_captions(options)
    chooser, matcher = load_matcher(options.chooser), load_matcher(options.matcher)
    budgets = [2**power for power in range(options.budget.bit_length())]
    table, results = Table("run", "images", "retrieval accuracy", "by the network that chose"), {}
    for run in options.runs:
        images = draw(run, captions, options)
        chosen_by, measured_by = (features_of(network, images, captions) for network in (chooser, matcher))
        found = accuracies(chosen_by, measured_by, budgets), accuracies(chosen_by, chosen_by, budgets)
        results[str(run)] = {number: both for number, *both in zip(budgets, *found, strict=True)}
        for number, both in results[str(run)].items():
            table.add_row(str(run), f"{number}", *(f"{accuracy:.1%}" for accuracy in both))
        write_whole(options.out, json.dumps({"captions": len(captions), "accuracies": results}, indent=2) + "\n")
    say(table)


if __name__ == "__main__":
    command(main)
