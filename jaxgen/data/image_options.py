"""How images of any size and colour become images of one size.

    crop       the largest centred rectangle of the right shape, resized
    pad        the whole image, resized to fit inside; the rest is background
    stretch    the whole image, resized whatever its shape

Images are resized by Pillow's Lanczos filter, whose support grows with the reduction: filters that skip pixels alias
and move the Fréchet distance.  Parmar, Zhang and Zhu (2022), https://arxiv.org/abs/2104.11222.
"""

from collections.abc import Mapping
from math import ceil, floor
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from PIL import Image, ImageColor

from jaxgen.io.errors import InputError

Fit = Literal["crop", "pad", "stretch"]
GREY_MODES = frozenset(("1", "L", "LA", "La"))
"""Pillow's modes of grey images of 8 bits or less."""
MEDIAN = "median"
MAX_PIXELS = 8192 * 8192
"""The most pixels of an image."""
DRAFT = 2
"""A JPEG is decoded at the smallest scale that leaves at least so many pixels for each one of the result, per side."""
MOST = 8
"""An image is refused if a side is more than so many times smaller than the result's, or if its aspect ratio differs
from the result's by more than that factor."""


class ImageOptions(NamedTuple):
    """The size [H, W] that images are brought to, None for their own, and how.

    `background` is put behind transparent pixels and around padded images: a colour by name or as #rrggbb, or "median",
    the median colour of each image's own opaque pixels.  `grey` makes all images grey.
    """

    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    background: str = "white"
    grey: bool = False

    @property
    def colour(self) -> tuple[int, int, int] | None:
        """Red, green and blue of the background; None for each image's median.

        Raises:
          InputError: the background is no colour.
        """
        if self.background == MEDIAN:
            return None
        try:
            return ImageColor.getrgb(self.background)[:3]
        except ValueError as error:
            raise InputError(
                f"--background {self.background}: expected white, black, {MEDIAN}, a colour's name or #rrggbb."
            ) from error

    @property
    def is_grey_background(self) -> bool:
        """Whether a grey image has a grey background: its median is grey."""
        return self.colour is None or len(set(self.colour)) == 1

    def check(self) -> None:
        """Refuses options that mean nothing.

        Raises:
          InputError: naming the option, its value and what is expected.
        """
        if self.fit not in get_args(Fit):
            raise InputError(f"--fit {self.fit}: expected {', '.join(get_args(Fit))}.")
        if self.size is None and self.fit != "crop":
            raise InputError(f"--fit {self.fit} needs --size, the size to bring the images to.")
        if self.size is not None and not 0 < self.size[0] * self.size[1] <= MAX_PIXELS:
            raise InputError(f"--size {shape_of(self.size)}: expected from 1 to {MAX_PIXELS:,} pixels.")
        _ = self.colour

    def scale(self, height: int, width: int) -> float:
        """The factor by which the sides of an image of this size are resized; the larger one if it is stretched."""
        if self.size is None:
            return 1
        return (min if self.fit == "pad" else max)(self.size[0] / height, self.size[1] / width)

    def draft_size(self, height: int, width: int) -> tuple[int, int] | None:
        """The width and height that a JPEG of this size must at least have when it is decoded; None for its own."""
        share = DRAFT * self.scale(height, width)
        return (ceil(width * share), ceil(height * share)) if share < 1 else None

    def require_shape(self, name: object, height: int, width: int) -> None:
        """Refuses an image that is far too small, or of which far too little would be left.

        Raises:
          InputError: naming the image, its size and the limit.
        """
        if self.size is None:
            return
        shape, wanted = f"{name} is {height} x {width} (height x width)", f"--size {shape_of(self.size)}"
        if height * MOST < self.size[0] or width * MOST < self.size[1]:
            least = " x ".join(str(ceil(side / MOST)) for side in self.size)
            raise InputError(f"{shape}: {wanted} needs at least {least}; move it away.")
        ratio = (height * self.size[1]) / (width * self.size[0])
        if max(ratio, 1 / ratio) > MOST:
            kind = "high" if ratio > 1 else "wide"
            raise InputError(f"{shape}, too {kind} for {wanted}: it may be {MOST} times as {kind}; move it away.")


AS_STORED = ImageOptions()


def image_options(options: Mapping[str, Any]) -> ImageOptions:
    """The image options among others by name, as in a run's record; those that are not there have their defaults."""
    known: dict[str, Any] = {name: options[name] for name in ImageOptions._fields if name in options}
    if known.get("size") is not None:
        known["size"] = tuple(known["size"])
    return ImageOptions(**known)


def shape_of(size: tuple[int, int]) -> str:
    """A size as it is typed: height x width, or one number for a square."""
    return f"{size[0]}" if size[0] == size[1] else f"{size[0]}x{size[1]}"


def rendered(image: Image.Image, options: ImageOptions, stored: tuple[int, int]) -> Image.Image:
    """An upright image of 8 bits as one of mode L or RGB, on the background and at the size of the options.

    A grey image stays grey if the background is.  `stored` are the width and the height that the image has in its file,
    which it may have been reduced from.
    """
    mode = "L" if options.grey or (image.mode in GREY_MODES and options.is_grey_background) else "RGB"
    is_padded = options.size is not None and options.fit == "pad"
    behind = _background(image, options) if is_padded or image.has_transparency_data else (0, 0, 0)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (*behind, 255)), rgba)
    image = image.convert(mode)
    if options.size is None:
        return image
    size = options.size[1], options.size[0]
    if not is_padded:
        return _cut(image, stored, size) if options.fit == "crop" else image.resize(size, Image.Resampling.LANCZOS)
    share = min(size[0] / image.width, size[1] / image.height)
    width, height = max(1, round(image.width * share)), max(1, round(image.height * share))
    canvas = Image.new("RGB", size, behind).convert(mode)
    place = (size[0] - width) // 2, (size[1] - height) // 2
    canvas.paste(image.resize((width, height), Image.Resampling.LANCZOS), place)
    return canvas


def _cut(image: Image.Image, stored: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """The centre, which is of whole pixels in the stored image, at its new size."""
    shares = (image.width / stored[0], image.height / stored[1]) * 2
    left, top, right, bottom = (side * share for side, share in zip(_centred(stored, size), shares, strict=True))
    x, y = floor(left), floor(top)
    cut = image.crop((x, y, min(ceil(right), image.width), min(ceil(bottom), image.height)))
    box = left - x, top - y, min(right - x, cut.width), min(bottom - y, cut.height)
    return cut.resize(size, Image.Resampling.LANCZOS, box)


def _centred(sides: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest centred rectangle of that shape, in whole pixels: left, top, right, bottom."""
    share = min(side / wanted for side, wanted in zip(sides, shape, strict=True))
    width, height = (max(1, round(wanted * share)) for wanted in shape)
    left, top = (sides[0] - width) // 2, (sides[1] - height) // 2
    return left, top, left + width, top + height


def _background(image: Image.Image, options: ImageOptions) -> tuple[int, int, int]:
    """The background's colour; the median of an image that is transparent everywhere is white."""
    if (colour := options.colour) is not None:
        return colour
    pixels = np.asarray(image.convert("RGBA")).reshape(-1, 4)
    opaque = pixels[pixels[:, 3] > 127, :3]
    red, green, blue = np.median(opaque, axis=0).round().astype(int).tolist() if len(opaque) else (255, 255, 255)
    return red, green, blue
