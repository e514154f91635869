"""`python -m jaxgen stylize`: the content of one image in the style of another."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxgen.cli.arguments import require_suffix, writing
from jaxgen.data.folder import read_image
from jaxgen.export import ExportedStylizer, load_stylizer
from jaxgen.io.errors import InputError
from jaxgen.io.pictures import save_image
from jaxgen.training.config import Bounds, require_bounds

MOST_PIXELS = 2**20
"""Of an image: each pixel takes about 2 kB of memory on the way."""


@dataclass(frozen=True)
class Stylize:
    """Draw the content of one image in the style of another, by a run of style transfer."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    content: Path
    """The image that says what is drawn, of any size."""
    style: Path
    """The image that says how, of any size of its own."""
    strength: Annotated[float, Bounds(least=0, most=1)] = 1.0
    """From 0, the content, to 1, all of the style."""
    mask: Path | None = None
    """An image of the content's size: white is stylised, black stays as it is."""
    out: Path = Path("stylized.png")
    """A .png of the content's size."""


def stylize(options: Stylize) -> None:
    """Draws what the options say and writes it.

    Raises:
      InputError: an option is out of range, an image or the run cannot be used, or the file cannot be written.
    """
    require_bounds(options)
    require_suffix(options.out, ".png")
    if not options.run.is_dir():
        raise InputError(f"{options.run} is no run directory.")
    stylizer = load_stylizer(options.run / "stylizer")
    content, style = (
        _read(name, path, stylizer) for name, path in (("content", options.content), ("style", options.style))
    )
    mask = None if options.mask is None else _read_mask(options, content)
    image = stylizer.stylize(content, style, options.strength, mask)
    with writing(options.out):
        save_image(options.out, image)
    print(f"{options.content} in the style of {options.style}: {options.out}")


def _read(name: str, path: Path, stylizer: ExportedStylizer) -> np.ndarray:
    """An image [H, W, C] with the channels of the run: a grey one is colour too."""
    image = read_image(path)
    height, width, channels = image.shape
    if height * width > MOST_PIXELS:
        raise InputError(f"--{name} {path} has {height * width:,} pixels; expected at most {MOST_PIXELS:,}: shrink it.")
    if channels > stylizer.channels:
        raise InputError(f"--{name} {path} is in colour, and the run is of grey images: make it grey.")
    return np.repeat(image, stylizer.channels // channels, axis=2)


def _read_mask(options: Stylize, content: np.ndarray) -> np.ndarray:
    """The mask uint8 [H, W, 1]; of a coloured one the mean of its channels."""
    assert options.mask is not None
    mask = read_image(options.mask)
    if mask.shape[:2] != content.shape[:2]:
        given, expected = ("x".join(map(str, image.shape[:2])) for image in (mask, content))
        raise InputError(f"--mask {options.mask} is {given}; expected the size of --content, {expected}.")
    return mask.mean(2, keepdims=True).round().astype(np.uint8)
