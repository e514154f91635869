"""Small captioned pictures, and how often what was drawn for a caption is found by it.

<run>/alignment.json  retrieval accuracy of drawn and of real pictures, for captions of the training and held-out ones
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxgen.data import Dataset, hold_out, read_features, shrink, subset, with_field, with_text
from jaxgen.errors import InputError
from jaxgen.evaluation import load_matcher, retrieval_accuracy
from jaxgen.export import load_sampler
from jaxgen.files import write_whole
from jaxgen.report import RunDirectory
from jaxgen.tokenizer import train_tokenizer

SIDE, SHARE, JUDGED, CANDIDATES = 32, 0.1, 500, 10
"""Pixels of a side, the share of captions that is held out, how many of either kind are judged at most, and among how
many captions each is to be found."""


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


def tell_retrieval(directory: RunDirectory, matcher: Path, parts: Iterable[Dataset], *, seed: int) -> None:
    """Prints and writes how often the caption asked for is found among ten, by pictures drawn and by real ones."""
    sampler, judge, told = load_sampler(directory.sampler), load_matcher(matcher), {}
    for part in parts:
        captions, first = np.unique(part.captions, return_index=True)
        chosen = np.random.default_rng(seed).permutation(len(captions))[:JUDGED]
        asked = captions[chosen].tolist()
        if sampler.told is not None and sampler.told.field == "features":
            drawn = sampler.draw(seed, len(asked), field=part.arrays["features"][first[chosen]])
        else:
            drawn = sampler.draw(seed, len(asked), text=asked)
        for kind, images in (("drawn", drawn), ("real", part.arrays["image"][first[chosen]])):
            accuracy = retrieval_accuracy(*judge.look(images, asked), candidates=CANDIDATES, seed=seed)
            told[f"{part.split}, {kind}"] = {**accuracy._asdict(), "captions": len(asked)}
            value = f"{accuracy.value:.1%} ± {accuracy.standard_error:.1%}"
            print(f"Found among ten, captions {part.split}, {kind}: {value}")
    write_whole(directory.path / "alignment.json", json.dumps(told, indent=2) + "\n")
