"""`python -m jaxgen saliency`: the pixels that the discriminator's logit depends on most."""

from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp

from jaxgen.cli.controls import ImageOptions, images_and_fields, read_controls, save_rows
from jaxgen.core.image import to_float
from jaxgen.io.errors import InputError
from jaxgen.io.program import UserPath
from jaxgen.models import saliency
from jaxgen.training.config import require_bounds


@dataclass(frozen=True)
class Saliency(ImageOptions):
    """Draw saliency maps of the discriminator: which pixels its logit depends on most."""

    out: UserPath = Path("saliency.png")
    """A .png or an animated .gif: the images, and below them the gradient's norm at each pixel."""


def draw_saliency(options: Saliency) -> None:
    """Computes saliency maps and writes the picture.

    Raises:
      InputError: an option is out of range, the images cannot be used, the run has no discriminator, or the file cannot
        be written.
    """
    require_bounds(options)
    exported = read_controls(options.run, options.out)
    logits = exported.controls.logits
    if logits is None:
        raise InputError(f"{options.run} has no discriminator, which saliency maps are computed for.")
    images, fields = images_and_fields(options, exported)
    strength = saliency(lambda pixels: logits(pixels, fields), to_float(images))
    maps = jnp.broadcast_to(jnp.round(255 * strength[..., None]).astype(jnp.uint8), images.shape)
    save_rows(options.out, jnp.stack([images, maps]))
