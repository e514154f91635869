"""Small captioned pictures, what is drawn for captions that were held out, and how often a caption is found by it.

<run>/held_out.png    drawn for held-out captions, and below them the real ones
<run>/alignment.json  retrieval accuracy of drawn and of real pictures, for captions of the training and held-out ones
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxgen.data import Dataset, hold_out, read_features, shrink, subset, with_field, with_text
from jaxgen.data.tokenizer import train_tokenizer
from jaxgen.evaluation import Matcher, load_matcher, retrieval_accuracy
from jaxgen.export import ExportedSampler, load_sampler
from jaxgen.io.errors import InputError
from jaxgen.io.files import write_whole
from jaxgen.io.pictures import save_grid

SIDE, SHARE, JUDGED, CANDIDATES, SHOWN = 32, 0.1, 500, 10, 12
"""Pixels of a side, the share of captions that is held out, how many of either kind are judged at most, and among how
many captions each is to be found; and how many held-out ones are shown."""


def hold_out_captions(
    dataset: Dataset, *, words: int, vocabulary: int, matcher: Path | None = None
) -> tuple[Dataset, Dataset]:
    """The data at 32x32 with the tokens of their captions: what is trained on, and what is held out.

    `matcher` is the folder of the network that is to judge.

    Raises:
      InputError: no captions, one that is too long, images that are not square; or a matching network that learned
        other words, and so saw captions that are held out here, or too few captions for one.
    """
    tokenizer = train_tokenizer(dataset.captions, length=words, size=vocabulary)
    if matcher and load_matcher(matcher).tokenizer.content != tokenizer.content:
        raise InputError(f"--matcher {matcher} was trained on other captions, or with other --words or --vocabulary.")
    dataset = with_text(shrink(dataset, SIDE), tokenizer)
    out = hold_out(dataset.arrays["text"], share=SHARE)
    parts = subset(dataset, ~out, split="train"), subset(dataset, out, split="held out")
    if matcher and (fewest := min(len(set(part.captions)) for part in parts)) < CANDIDATES:
        raise InputError(f"--matcher {matcher} chooses among {CANDIDATES} captions; {fewest} of a kind are there.")
    return parts


def with_embeddings(dataset: Dataset, path: Path | None) -> Dataset:
    """The data with `features` of their captions from an .npz, a row an image; without one, as they are.

    Raises:
      InputError: the file cannot be read, or has another number of rows.
    """
    if path is None:
        return dataset
    features = read_features(path)
    if len(features) != dataset.size:
        raise InputError(f"--text-embeddings {path} has {len(features)} rows; {dataset.source} are {dataset.size}.")
    return with_field(dataset, features=features)


def evaluate_captions(directory: Path, parts: tuple[Dataset, Dataset], *, matcher: Path | None, seed: int) -> None:
    """Leaves a picture for captions that were held out; with a matching network, tells how often captions are found."""
    sampler = load_sampler(directory / "sampler")
    if parts[1].size:
        _show(directory, sampler, parts[1], seed)
    if matcher is not None:
        _tell_retrieval(directory, sampler, load_matcher(matcher), parts, seed)


def _show(directory: Path, sampler: ExportedSampler, held_out: Dataset, seed: int) -> None:
    captions, drawn, real = _drawn(sampler, held_out, SHOWN, seed)
    path = directory / "held_out.png"
    save_grid(path, np.concatenate([drawn, real]), columns=len(captions))
    print(f"Drawn for captions that were held out, and below them real, in {path}: {', '.join(captions)}")


def _tell_retrieval(
    directory: Path, sampler: ExportedSampler, judge: Matcher, parts: Iterable[Dataset], seed: int
) -> None:
    told = {}
    for part in parts:
        asked, *pictures = _drawn(sampler, part, JUDGED, seed)
        for kind, images in zip(("drawn", "real"), pictures, strict=True):
            accuracy = retrieval_accuracy(*judge.extract(images, asked), candidates=CANDIDATES, seed=seed)
            told[f"{part.split}, {kind}"] = {**accuracy._asdict(), "captions": len(asked)}
            print(f"Found among ten, captions {part.split}, {kind}: {accuracy:.1%}")
    write_whole(directory / "alignment.json", json.dumps(told, indent=2) + "\n")


def _drawn(sampler: ExportedSampler, part: Dataset, most: int, seed: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Some different captions, what is drawn for each, and the first real picture of each."""
    captions, first = np.unique(part.captions, return_index=True)
    chosen = np.random.default_rng(seed).permutation(len(captions))[:most]
    asked, first = captions[chosen].tolist(), first[chosen]
    if sampler.told is not None and sampler.told.field == "features":
        drawn = sampler.draw(seed, len(asked), field=part.arrays["features"][first])
    else:
        drawn = sampler.draw(seed, len(asked), text=asked)
    return asked, drawn, part.arrays["image"][first]
