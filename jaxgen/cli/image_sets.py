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
    """The images to compare with; for memorisation also the training images, and held-out ones where there are any."""

    images: Dataset
    train: Dataset | None = None
    held_out: Dataset | None = None


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
    training: bool,
    options: DataOptions,
    whole: Dataset | None = None,
) -> RealImages:
    """At most `num` images of a split to compare with; with `training` also all training images, and held-out ones.

    All images of a path without splits are training images.  `whole` is the data set of a path if it has been read.

    Raises:
      InputError: the split cannot be read.
    """
    try:
        real = whole or _read(name, split, options)
    except InputError as error:
        # The training images may be there where the test images are not: 5,000 digits are embedded.
        if name not in NAMES or split == "train":
            raise
        raise InputError(f"{error} Or compare with the training images: --split train.") from error
    splits = {real.split: real}
    if real.split != "all" and (training or real.split != split):
        other = "train" if real.split == "test" else "test"
        try:
            splits = {found.split: found for found in (_read(name, other, options), real)}
        except InputError as error:
            say(f"There are no {other} images for memorisation: {error}")
    images = choose(splits.get(split, real), num, seed)
    if not training:
        return RealImages(images)
    held_out = images if images.split == "test" else splits.get("test")
    return RealImages(
        images, splits.get("train", splits.get("all")), None if held_out is None else choose(held_out, num, seed)
    )


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
