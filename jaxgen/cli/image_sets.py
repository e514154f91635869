"""The two sets of images that `evaluate` compares, the run that one is drawn from, and its record."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgen.data.dataset import Dataset, make_dataset, subset
from jaxgen.data.sources import NAMES, load
from jaxgen.export import ExportedSampler
from jaxgen.io.errors import InputError
from jaxgen.io.terminal import say
from jaxgen.training.run_directory import RunDirectory

NOISE = "noise"


class RealImages(NamedTuple):
    """The images to compare with, and both splits of their data set where they were read."""

    images: Dataset
    train: Dataset | None = None
    test: Dataset | None = None


class DataOptions(NamedTuple):
    """Where data sets are read from."""

    folder: Path | None
    offline: bool


def find_run(path: Path) -> Path | None:
    """The path if it is a run directory, or the best/ of one."""
    return path if (path / "config.json").is_file() or (path / "sampler").is_dir() else None


def read_config(run: Path) -> Mapping[str, Any]:
    """The options of a run, also from its best/; empty if there is no record of them."""
    folders = [folder for folder in (run, run.resolve().parent) if (folder / "config.json").is_file()]
    return (RunDirectory(folders[0]).earlier() or {}).get("config", {}) if folders else {}


def choose(dataset: Dataset, num: int, seed: int) -> Dataset:
    """A random subset of `num` images in their order, or all images if there are no more."""
    if dataset.size <= num:
        return dataset
    chosen = np.random.default_rng(seed).choice(dataset.size, num, replace=False)
    return subset(dataset, np.sort(chosen), split=dataset.split)


def read_real(name: str, split: str, *, num: int, seed: int, both_splits: bool, options: DataOptions) -> RealImages:
    """At most `num` images of a split to compare with, and with `both_splits` all images of both, where they exist.

    Raises:
      InputError: the split cannot be read.
    """
    try:
        splits = {split: _read(name, split, options)}
    except InputError as error:
        # The training images may be there where the test images are not: 5,000 digits are embedded.
        if name not in NAMES or split == "train":
            raise
        raise InputError(f"{error} Or compare with the training images: --split train.") from error
    if both_splits and name in NAMES:
        other = "train" if split == "test" else "test"
        try:
            splits[other] = _read(name, other, options)
        except InputError as error:
            say(f"Metrics that need both splits are left out: {error}")
    images = choose(splits[split], num, seed)
    return RealImages(images, splits["train"], splits["test"]) if len(splits) == 2 else RealImages(images)


def draw_images(sampler: ExportedSampler, source: str, *, num: int, seed: int) -> Dataset:
    """`num` images drawn from a sampler, with all labels in turn if it is conditioned on labels."""
    classes = sampler.conditions["label"].classes if "label" in sampler.conditions else 0
    label = np.arange(num) % classes if classes else None
    images = sampler.draw(seed, num, fields={} if label is None else {"label": label})
    return make_dataset(images, label, source=f"{num:,} images drawn from {source}", split="drawn")


def read_images_or_noise(name: str, real: Dataset, *, num: int, seed: int, options: DataOptions) -> Dataset:
    """At most `num` images of a data set, a folder or an .npz, or as many of uniform noise.

    Raises:
      InputError: the images cannot be read.
    """
    if name == NOISE:
        images = np.random.default_rng(seed).integers(0, 256, (num, *real.spec), np.uint8)
        return make_dataset(images, None, source="uniform noise", split="drawn")
    own = options if name in NAMES else options._replace(folder=None)
    return choose(_read(name, "train", own), num, seed)


def _read(name: str, split: str, options: DataOptions) -> Dataset:
    """A split of a data set, a folder or an .npz.

    Raises:
      InputError: it cannot be read.
    """
    return load(name, split=split, data_dir=options.folder, offline=options.offline, announce=say)
