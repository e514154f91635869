"""`python -m jaxgen describe`: features of images, to condition a model on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxgen.cli.arguments import read_images, require_suffix, save_features
from jaxgen.data.dataset import subset
from jaxgen.evaluation import Kind, with_features
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.training.config import Bounds, require_bounds


@dataclass(frozen=True)
class Describe:
    """Write features of images to an .npz; `sample --features` draws variations of the images from it."""

    images: Annotated[str, tyro.conf.Positional]
    """A folder of images of one size, an archive (.npz, .npy, .zip, .tar, .tar.gz), or a data set's name (mnist,
    fashion_mnist, cifar10, binarized_mnist).  Larger squares are shrunk to 32x32 first, as in
    experiments/features_to_image.py."""
    kind: Kind = "edges"
    """palette: six colours and their shares; edges: gradients in blocks of 2x2 pixels; embedding: features of a
    packaged classifier, which resizes other sizes than 28x28x1 to 32x32."""
    data_dir: UserPath | None = None
    """The folder of prepared data sets."""
    num: Annotated[int, Bounds(least=1)] | None = None
    """How many of the images, the first ones; by default all."""
    out: UserPath = Path("features.npz")
    """An .npz of `features` float32 [N, F]."""


def write_features(options: Describe) -> None:
    """Computes features of images and writes them.

    Raises:
      InputError: an option is out of range, the images cannot be used, or the file cannot be written.
    """
    require_bounds(options)
    require_suffix(options.out, ".npz")
    data = read_images(options.images, option="images", data_dir=options.data_dir)
    some = subset(data, np.arange(min(options.num or data.size, data.size)), split=data.split)
    features = with_features(some, options.kind).arrays["features"]
    save_features(options.out, features)
    say(f"{len(features):,} rows of {features.shape[1]} {options.kind} features in {options.out}")
