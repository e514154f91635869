"""Text-to-image models of small images: held-out captions, images drawn for them, and retrieval accuracy.

<run>/held_out.png    images drawn for held-out captions, and below them real ones
<run>/alignment.json  retrieval accuracy of drawn and of real images, for training captions and for held-out ones
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxgen.data.arrays import read_features
from jaxgen.data.captions import hold_out, with_text
from jaxgen.data.dataset import Dataset, shrink, shrink_images, subset, with_field
from jaxgen.data.tokenizer import train_tokenizer
from jaxgen.evaluation.alignment import retrieval_accuracy
from jaxgen.evaluation.matcher import Matcher, load_matcher
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.results import write_results
from jaxgen.export.sampler import ExportedSampler, load_sampler
from jaxgen.io.errors import InputError
from jaxgen.io.pictures import save_grid
from jaxgen.io.terminal import say

SIDE, SHARE = 32, 0.1
"""The side in pixels of the images that the matching network takes, and the share of captions that is held out."""

EVALUATED, CANDIDATES, SHOWN = 500, 10, 12
"""The most captions that are evaluated of each part, the candidates of a retrieval, and the captions in the picture."""

ACCURACY = "retrieval accuracy"


def hold_out_captions(
    dataset: Dataset, *, words: int, vocabulary: int, matcher: Path | None = None, side: int | None = SIDE
) -> tuple[Dataset, Dataset]:
    """The data with the tokens of their captions: the training part and the held-out part.

    Images are reduced to `side` x `side`, and kept as they are without it.  `matcher` is the folder of the matching
    network of the evaluation, for which images are reduced to 32x32.

    Raises:
      InputError: there are no captions, a caption is too long, or the images are not square; or the matching network
        has another vocabulary, so that it may have been trained on captions held out here, or needs more captions.
    """
    tokenizer = train_tokenizer(dataset.captions, length=words, size=vocabulary)
    if matcher and load_matcher(matcher).tokenizer.content != tokenizer.content:
        raise InputError(f"--matcher {matcher} was trained on other captions, or with other --words or --vocabulary.")
    dataset = with_text(dataset if side is None else shrink(dataset, side), tokenizer)
    if matcher:
        shrink_images(dataset.arrays["image"][:1], SIDE, dataset.source)  # refused now, not after training
    out = hold_out(dataset.arrays["text"], share=SHARE)
    parts = subset(dataset, ~out, split="train"), subset(dataset, out, split="held out")
    if matcher and (fewest := min(len(set(part.captions)) for part in parts)) < CANDIDATES:
        raise InputError(f"--matcher {matcher} needs {CANDIDATES} captions to choose from; a part has {fewest}.")
    return parts


def with_embeddings(dataset: Dataset, path: Path | None) -> Dataset:
    """The data with `features` of their captions from an .npz, one row for each image; unchanged without one.

    Raises:
      InputError: the file cannot be read, or has another number of rows.
    """
    if path is None:
        return dataset
    features = read_features(path)
    if len(features) != dataset.size:
        raise InputError(
            f"--text-embeddings {path} has {len(features)} rows; {dataset.source} has {dataset.size} images."
        )
    return with_field(dataset, features=features)


def evaluate_captions(directory: Path, parts: tuple[Dataset, Dataset], *, matcher: Path | None, seed: int) -> None:
    """Draws images for held-out captions into a picture; with a matching network, measures retrieval accuracy.

    `parts` are those of `hold_out_captions`.

    Raises:
      InputError: the sampler or the matching network cannot be read, or does not fit the data.
      OSError: a file cannot be written.
    """
    sampler = load_sampler(directory / "sampler")
    if parts[1].size:
        _save_held_out(directory / "held_out.png", sampler, parts[1], seed)
    if matcher is not None:
        _measure_retrieval(directory / "alignment.json", sampler, load_matcher(matcher), parts, seed)


def choose_captions(part: Dataset, most: int, seed: int) -> tuple[list[str], np.ndarray]:
    """At most `most` different captions in random order, and the index of an image of each."""
    order = content_order(part.arrays["image"])
    captions, first = np.unique(np.array(part.captions)[order], return_index=True)
    chosen = np.random.default_rng(seed).permutation(len(captions))[:most]
    return captions[chosen].tolist(), order[first[chosen]]


def _save_held_out(path: Path, sampler: ExportedSampler, held_out: Dataset, seed: int) -> None:
    captions, drawn, real = _draw(sampler, held_out, SHOWN, seed)
    save_grid(path, np.concatenate([drawn, real]), columns=len(captions))
    say(f"Drawn for held-out captions, and below them real images, in {path}: {', '.join(captions)}")


def _measure_retrieval(
    path: Path, sampler: ExportedSampler, matcher: Matcher, parts: Iterable[Dataset], seed: int
) -> None:
    results = {}
    for part in parts:
        captions, *pictures = _draw(sampler, part, EVALUATED, seed)
        for kind, images in zip(("drawn", "real"), pictures, strict=True):
            features = matcher.extract(shrink_images(images, SIDE, kind), captions)
            accuracy = retrieval_accuracy(*features, candidates=CANDIDATES, seed=seed)
            results[f"{part.split}, {kind}"] = {ACCURACY: accuracy, "captions": len(captions)}
    write_results(
        path,
        results,
        title="Images drawn for captions, and real ones",
        meanings={ACCURACY: f"of {CANDIDATES} captions; {1 / CANDIDATES:g} by chance"},
        details={"candidates": CANDIDATES},
    )


def _draw(sampler: ExportedSampler, part: Dataset, most: int, seed: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """At most `most` different captions, an image drawn for each, and one real image of each."""
    captions, first = choose_captions(part, most, seed)
    if "features" in sampler.conditions:
        drawn = sampler.draw(seed, len(captions), fields={"features": part.arrays["features"][first]})
    else:
        drawn = sampler.draw(seed, len(captions), text=captions)
    return captions, drawn, part.arrays["image"][first]
