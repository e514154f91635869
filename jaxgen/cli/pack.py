"""`python -m jaxgen pack`: images as shards, for data sets that outgrow a folder and for many processes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxgen.data.hub import HUB
from jaxgen.data.image_options import Fit, image_options
from jaxgen.data.listing import stamp_of
from jaxgen.data.pack_shards import pack
from jaxgen.data.shards import MANIFEST
from jaxgen.data.sources import NAMES, stream
from jaxgen.io.files import expanded
from jaxgen.io.program import UserPath, UserSize
from jaxgen.io.terminal import say
from jaxgen.training.config import Bounds, require_bounds

LISTED = 10
"""Damaged images that are listed; the manifest lists all."""


@dataclass(frozen=True)
class Pack:
    """Pack images, labels and captions into shards of array_record, which `--data <folder>` of an experiment reads.

    The same command resumes what was interrupted.
    """

    source: Annotated[str, tyro.conf.Positional]
    """A folder of images, an archive or a folder of archives (with StyleGAN's dataset.json or WebDataset's .cls and
    .txt), an .npz, Parquet files, a folder that Hugging Face's `datasets` saved, hub:<owner>/<name> on its hub, or
    mnist, fashion_mnist, cifar10, binarized_mnist."""
    out: UserPath
    """The folder of the shards, new or empty."""
    size: UserSize | None = None
    """Bring all images to this size: 64, or height x width, as in 64x96.  By default they must be of one size."""
    fit: Fit = "crop"
    """How images of another shape get that size: crop, pad or stretch."""
    background: str = "white"
    """Behind transparent pixels and around padded images: white, black, #rrggbb or median."""
    grey: bool = False
    """Make all images grey."""
    crops: Annotated[int, Bounds(least=0)] = 0
    """Pack this many random crops of each image, with sides of --size to 4 times as much, in place of the images: for
    textures from a few photographs."""
    split: Literal["train", "validation", "test"] = "train"
    """The split, where the source has several."""
    skip_damaged: bool = False
    """Leave out images that cannot be read, and list them; by default the first one ends the packing."""
    data_dir: UserPath | None = None
    """The folder of a data set by name."""
    offline: bool = False
    """Never download."""


def pack_images(options: Pack) -> None:
    """Packs images and says what was left out.

    Raises:
      InputError: the source cannot be used, an image is damaged, or --out holds something else.
      OutsideError: the disk is full, or cannot be written.
    """
    require_bounds(options)
    images = image_options(vars(options))
    skipped: list[str] | None = [] if options.skip_damaged else None
    dataset = stream(
        options.source,
        split=options.split,
        data_dir=options.data_dir,
        offline=options.offline,
        images=images,
        skipped=skipped,
        crops=options.crops,
    )
    is_named = options.source in NAMES or options.source.startswith(HUB)
    source = options.source if is_named else str(expanded(options.source).resolve())
    record = {"source": source, "split": options.split, **images._asdict(), "crops": options.crops}
    packed = pack(dataset, options.out, record=record, stamp=_stamp(options.source, options.out), skipped=skipped)
    for line in packed.damaged[:LISTED]:
        say(f"Left out: {line}")
    if len(packed.damaged) > LISTED:
        say(f"Left out: {len(packed.damaged) - LISTED:,} more, which {options.out / MANIFEST} lists")
    size = "x".join(map(str, dataset.spec))
    say(f"{packed.records:,} images of {size} in {options.out}; train on them with --data {options.out}")


def _stamp(source: str, out: Path) -> str:
    """What changes whenever a file of the source, outside `out`, does; nothing for a data set by name."""
    path = expanded(source)
    if path.is_file():
        return stamp_of(path.parent, [os.fsencode(path.name)])
    found = path.rglob("*") if path.is_dir() else ()
    files = sorted(file for file in found if file.is_file() and not file.resolve().is_relative_to(out.resolve()))
    return stamp_of(path, [os.fsencode(file.relative_to(path)) for file in files])
