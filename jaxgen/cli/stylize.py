"""`python -m jaxgen stylize`: the content of one image in the style of another."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxgen.cli.arguments import require_run, require_suffix, writing
from jaxgen.data.image_file import read_image, with_channels
from jaxgen.data.masks import read_mask
from jaxgen.export import ExportedStylizer, load_stylizer
from jaxgen.io.errors import InputError
from jaxgen.io.pictures import save_image
from jaxgen.io.program import UserPath
from jaxgen.io.terminal import say
from jaxgen.training.config import Bounds, require_bounds

MOST_PIXELS = 2**20
"""The most pixels of an image: each takes about 2 kB of memory during the computation."""
MASK = "white is stylised and black keeps the content"


@dataclass(frozen=True)
class Stylize:
    """Draw the content of one image in the style of another, with a style-transfer run."""

    run: Annotated[UserPath, tyro.conf.Positional]
    """Run directory."""
    content: UserPath
    """The content image, of any size."""
    style: UserPath
    """The style image, of any size."""
    strength: Annotated[float, Bounds(least=0, most=1)] = 1.0
    """From 0 (the content image as it is decoded) to 1 (full stylisation)."""
    mask: UserPath | None = None
    """A black and white image of the content's size: white is stylised, black keeps the content."""
    out: UserPath = Path("stylized.png")
    """A .png of the content's size."""


def stylize(options: Stylize) -> None:
    """Transfers the style and writes the image.

    Raises:
      InputError: an option is out of range, an image or the run cannot be used, or the file cannot be written.
    """
    require_bounds(options)
    require_suffix(options.out, ".png")
    require_run(options.run)
    stylizer = load_stylizer(options.run / "stylizer")
    content, style = (
        _read(name, path, stylizer) for name, path in (("content", options.content), ("style", options.style))
    )
    size = content.shape[0], content.shape[1]
    mask = options.mask and read_mask(options.mask, size, of="--content", meaning=MASK)
    image = stylizer.stylize(content, style, options.strength, mask)
    with writing(options.out):
        save_image(options.out, image)
    say(f"{options.content} in the style of {options.style}: {options.out}")


def _read(name: str, path: Path, stylizer: ExportedStylizer) -> np.ndarray:
    """An image [H, W, C] with the run's channels; a grey image is repeated to three."""
    image = read_image(path)
    height, width, channels = image.shape
    if height * width > MOST_PIXELS:
        raise InputError(f"--{name} {path} has {height * width:,} pixels; expected at most {MOST_PIXELS:,}: shrink it.")
    if channels > stylizer.channels:
        raise InputError(f"--{name} {path} is in colour, and the run was trained on grey images: make it grey.")
    return with_channels(image, stylizer.channels)
