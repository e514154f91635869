"""The two sets of images that `evaluate` compares, and the run that one is drawn from."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.dataset import Dataset, make_dataset, subset
from jaxgen.data.image_options import AS_STORED, ImageOptions
from jaxgen.data.sources import NAMES, load
from jaxgen.evaluation.order import content_order
from jaxgen.export import ExportedSampler
from jaxgen.io.errors import InputError
from jaxgen.io.terminal import say

NOISE = "noise"


class RealImages(NamedTuple):
    """The images to compare with, and both splits of their data set where they were read."""

    images: Dataset
    train: Dataset | None = None
    test: Dataset | None = None


class DataOptions(NamedTuple):
    """Where data sets are read from, and the size and the colours that their images are brought to."""

    folder: Path | None
    offline: bool
    images: ImageOptions = AS_STORED


def find_run(path: Path) -> Path | None:
    """The path if it is a run directory, or the best/ of one."""
    return path if (path / "config.json").is_file() or (path / "sampler").is_dir() else None


def choose(dataset: Dataset, num: int, seed: int) -> Dataset:
    """A random subset of `num` images in their order, or all images if there are no more.

    Which images it has does not depend on the order of the data set.
    """
    if dataset.size <= num:
        return dataset
    order = content_order(*dataset.arrays.values())
    chosen = order[np.random.default_rng(seed).choice(dataset.size, num, replace=False)]
    return subset(dataset, np.sort(chosen), split=dataset.split)


def read_real(
    name: str,
    split: str,
    *,
    num: int,
    seed: int,
    both_splits: bool,
    options: DataOptions,
    whole: Dataset | None = None,
) -> RealImages:
    """At most `num` images of a split to compare with, and with `both_splits` all images of both, where they exist.

    `whole` is the data set of a path if it has been read.

    Raises:
      InputError: the split cannot be read.
    """
    try:
        splits = {split: whole or _read(name, split, options)}
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
    """At most `num` images of a data set, a folder or an archive, or as many of uniform noise.

    Raises:
      InputError: the images cannot be read.
    """
    if name == NOISE:
        images = np.random.default_rng(seed).integers(0, 256, (num, *real.spec), np.uint8)
        return make_dataset(images, None, source="uniform noise", split="drawn")
    own = options if name in NAMES else options._replace(folder=None)
    return choose(_read(name, "train", own), num, seed)


def _read(name: str, split: str, options: DataOptions) -> Dataset:
    """A split of a data set, a folder or an archive.

    Raises:
      InputError: it cannot be read.
    """
    return load(
        name, split=split, data_dir=options.folder, offline=options.offline, announce=say, images=options.images
    )
