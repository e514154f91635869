"""Pictures that somebody brings: what a run makes of them."""

import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import to_float
from jaxgen.data.image_file import with_channels
from jaxgen.data.image_options import ImageOptions
from jaxgen.export import ExportedDenoiser, ExportedRestorer, ExportedStylizer
from jaxgen.export.restorations import draw_restorations
from jaxgen.io.errors import InputError
from jaxgen.models.image_to_image.tasks import inpaint, random_block

MOST_SIDE = 256
"""The longest side of a picture that is stylised."""


def nearest(images: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """The numbers int [N] of images uint8 [N, H, W, C] by their squared error to a picture [H, W, C], least first."""
    errors = np.square(images.astype(np.float32) - picture).mean((1, 2, 3))
    return np.argsort(errors, kind="stable")


def restored(
    by: ExportedRestorer | ExportedDenoiser, picture: np.ndarray, known: np.ndarray, *, num: int, seed: int, steps: int
) -> np.ndarray:
    """A picture uint8 [H, W, C] whose pixels are unknown where `known`, bool [H, W, 1], is false: [N, H, W, C].

    A denoiser draws `num` plausible ones; an image-to-image network has one answer.

    Raises:
      InputError: nothing is unknown, which would leave a denoiser nothing to draw.
    """
    if isinstance(by, ExportedRestorer):
        return by.restore(picture[None], np.where(known, np.uint8(255), np.uint8(0)))
    if known.all():
        raise InputError("Paint what is to be filled in first.")
    degraded = np.asarray(to_float(jnp.asarray(picture[None])))
    return draw_restorations(by, inpaint(random_block()), degraded, known[None], num=num, steps=steps, seed=seed)[0]


def fitted(height: int, width: int, *, is_grey: bool) -> ImageOptions:
    """How a picture of this size is read for style transfer: smaller if a side is longer than `MOST_SIDE`."""
    share = min(1.0, MOST_SIDE / max(height, width))
    size = max(1, round(height * share)), max(1, round(width * share))
    return ImageOptions(size=size, fit="stretch", grey=is_grey)


def stylised(by: ExportedStylizer, content: np.ndarray, style: np.ndarray, strength: float) -> np.ndarray:
    """The content [H, W, C] in the style of another picture [V, U, C]: [1, H, W, C]; a grey one is repeated."""
    content, style = (with_channels(image, by.channels) for image in (content, style))
    return by.stylize(content, style, strength)[None]
