"""`python -m jaxgen invert`: GAN inversion, the codes whose generated images are nearest to given images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax.numpy as jnp
import numpy as np

from jaxgen.cli.arguments import writing
from jaxgen.cli.controls import ImageOptions, images_and_fields, read_controls, save_rows
from jaxgen.evaluation import compare_pairs
from jaxgen.io.errors import InputError
from jaxgen.io.files import write_whole
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.models import find_codes
from jaxgen.training.config import Bounds, Count, Positive, require_bounds


@dataclass(frozen=True)
class Invert(ImageOptions):
    """Invert the generator: find codes that reproduce images, and draw each image above its reconstruction."""

    steps: Count = 300
    """Steps of Adam."""
    starts: Annotated[int, Bounds(least=1, most=100)] = 8
    """Initial codes for each image, of which the best result is kept.  If the run has an encoder, its code is one of
    them."""
    learning_rate: Positive = 0.1
    """Adam's learning rate."""
    weight: Annotated[float, Bounds(least=0)] = 0.0
    """Weight of the codes' mean square, which keeps them near 0."""
    out: UserPath = Path("inversions.png")
    """A .png or an animated .gif; the codes are written beside it, as an .npz."""


def invert(options: Invert) -> None:
    """Finds codes and writes them and the picture.

    Raises:
      InputError: an option is out of range, the images or the run cannot be used, the codes diverge, or a file cannot
        be written.
    """
    require_bounds(options)
    exported = read_controls(options.run, options.out)
    images, fields = images_and_fields(options, exported)
    codes, drawn = find_codes(
        exported.controls,
        images,
        fields,
        seed=options.seed + 1,
        steps=options.steps,
        starts=options.starts,
        learning_rate=options.learning_rate,
        weight=options.weight,
    )
    if not np.isfinite(codes).all():
        raise InputError(f"--learning-rate {options.learning_rate}: the codes diverged; give a smaller one.")
    archive = options.out.with_suffix(".npz")
    with writing(archive):
        write_whole(archive, lambda file: np.savez(file, codes=codes, images=images, drawn=drawn))
    save_rows(options.out, jnp.stack([images, drawn]))
    say(f"Codes: {archive}")
    measures = compare_pairs(np.asarray(images), np.asarray(drawn))
    say(", ".join(f"{name.upper()} {value:.4g}" for name, (value, _) in measures._asdict().items()))
