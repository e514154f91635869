"""`python -m jaxgen describe`: images as the numbers that networks may be told of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxgen.cli.arguments import read_images, require_suffix, save_features
from jaxgen.data import subset
from jaxgen.evaluation.image_features import Kind, described
from jaxgen.training.config import Bounds, require_bounds


@dataclass(frozen=True)
class Describe:
    """Write features of images into an .npz, which `sample --features` draws more like them of."""

    images: Annotated[str, tyro.conf.Positional]
    """A folder of images of one size, an .npz, or a data set's name (mnist, cifar10).  Squares of more than 32 pixels
    are made smaller first, as experiments/features_to_image.py does."""
    kind: Kind = "edges"
    """palette: six colours and their shares; edges: the strength of contours; embedding: what a packaged
    classifier sees, of digits or of photographs of 32x32."""
    data_dir: Path | None = None
    """Where prepared data sets are."""
    num: Annotated[int, Bounds(least=1)] | None = None
    """How many of the images, the first ones; by default all."""
    out: Path = Path("features.npz")
    """An .npz of `features` float32 [N, F]."""


def write_features(options: Describe) -> None:
    """Describes images and writes what was found.

    Raises:
      InputError: an option is out of range, the images cannot be used, or the file cannot be written.
    """
    require_bounds(options)
    require_suffix(options.out, ".npz")
    data = read_images(options.images, option="images", data_dir=options.data_dir)
    some = subset(data, np.arange(min(options.num or data.size, data.size)), split=data.split)
    features = described(some, options.kind).arrays["features"]
    save_features(options.out, features)
    print(f"{len(features):,} rows of {features.shape[1]} features, {options.kind}, in {options.out}")
