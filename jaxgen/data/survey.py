"""The headers of many image files: their sizes, and the one size and the channels that they are read with."""

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from typing import BinaryIO, NamedTuple

import numpy as np

from jaxgen.core.image import ImageSpec
from jaxgen.data.image_file import Header, read_header
from jaxgen.data.image_options import ImageOptions
from jaxgen.data.listing import Listing, shown
from jaxgen.io.errors import InputError, refuse_damage

MANY, CHUNK, THREADS = 10_000, 1_000, 8
"""More headers than MANY are announced; a thread reads a CHUNK of them at a time."""
USUAL = 3
"""Sizes that a message names."""
SIZES = (32, 64)
"""Sizes that a message proposes."""


class Survey(NamedTuple):
    """The headers of N images: arrays int64 [N].

    `num_bytes` are the sizes of the files, `changed` when they were changed, in nanoseconds, as far as it is known.
    """

    height: np.ndarray
    width: np.ndarray
    channels: np.ndarray
    is_deep: np.ndarray
    is_transparent: np.ndarray
    num_bytes: np.ndarray
    changed: np.ndarray

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """How many images have each height and width."""
        return Counter(zip(self.height.tolist(), self.width.tolist(), strict=True))


def survey(
    files: Listing, options: ImageOptions, announce: Callable[[str], None], skipped: list[str] | None = None
) -> tuple[Survey, np.ndarray]:
    """The headers of all images that can be used, and their mask [N].

    An image cannot be used if its header cannot be read, or if its shape is far from that of the options.  `skipped`
    gets a line for each of these; None refuses them.

    Raises:
      InputError: an image cannot be used, or none can.
    """
    names = files.names
    if len(names) > MANY:
        announce(f"Reading the headers of {len(names):,} images in {files.place}")
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    pool = ThreadPoolExecutor(THREADS)
    try:
        headers = np.concatenate(list(pool.map(partial(_headers, files, options, skipped), chunks)))
    finally:
        pool.shutdown(cancel_futures=True)
    usable = headers[:, 0] > 0
    if skipped and not usable.any():
        raise InputError(f"{files.place}: no image can be read, one of them because: {min(skipped)}")
    return Survey(*headers[usable].T), usable


def spec_of(files: Listing, headers: Survey, options: ImageOptions, announce: Callable[[str], None]) -> ImageSpec:
    """The one size of all images as they are read; announces what is done to their channels.

    Raises:
      InputError: the images have several sizes, and the options none.
    """
    size = options.size
    if size is None and len(headers.sizes) > 1:
        raise InputError(mixed_sizes(files, headers))
    if deep := files.names[headers.is_deep > 0].tolist():
        announce(f"16 bits per channel are scaled to 8 in {_part(deep, files)} images, as {shown(deep[0])}")
    grey = files.names[headers.channels == 1].tolist()
    is_grey = options.grey or (len(grey) == len(files.names) and options.is_grey_background)
    if grey and not is_grey:
        announce(f"{_part(grey, files)} images are grey, and are read as colour; --grey makes all grey")
    height, width = size or (int(headers.height[0]), int(headers.width[0]))
    return ImageSpec(height, width, 1 if is_grey else 3)


def digest_of(files: Listing, headers: Survey, options: ImageOptions, spec: ImageSpec) -> str:
    """The SHA-256 of the files' names and sizes, and of how they are read."""
    digest = sha256()
    for name, num_bytes in zip(files.names.tolist(), headers.num_bytes.tolist(), strict=True):
        digest.update(name + f"\0{num_bytes}\n".encode())
    digest.update(str(tuple(spec)).encode())
    if options != ImageOptions():
        digest.update(str(tuple(options)).encode())
    return digest.hexdigest()


def mixed_sizes(files: Listing, headers: Survey) -> str:
    """What is in a folder of images of several sizes, and the option that makes them one, in one line."""
    count, sizes = len(files.names), headers.sizes
    usual = ", ".join(_usual(files, headers, *both) for both in sizes.most_common(USUAL))
    sides = np.minimum(headers.height, headers.width)
    return (
        f"{files.place} holds {count:,} images of {len(sizes):,} sizes (height x width), most often {usual}; the "
        f"smallest side is {sides.min():,}; {_share(headers.channels == 1)} are grey, "
        f"{_share(headers.is_transparent > 0)} transparent. Make them one size: --size {usual_side(np.median(sides))}."
    )


def usual_side(median: float) -> int:
    """The size to propose for images whose shorter sides have this median."""
    return max((size for size in SIZES if size <= median), default=SIZES[0])


def open_image(files: Listing, name: bytes) -> BinaryIO:
    """An image file of a listing.

    Raises:
      InputError: it cannot be opened.
    """
    with refuse_damage(files.path(name), "an image"):
        return files.open(os.fsdecode(name))


def fields_of(header: Header, state: tuple[int, int]) -> tuple[int, ...]:
    """The fields of `Survey` for one image."""
    return (header.height, header.width, header.channels, header.is_deep, header.is_transparent, *state)


def state_of(file: BinaryIO) -> tuple[int, int]:
    """The size of an open file in bytes, and when it was changed, in nanoseconds; 0 for a member of an archive."""
    num_bytes = file.seek(0, os.SEEK_END)
    try:
        return num_bytes, os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return num_bytes, 0


def _headers(files: Listing, options: ImageOptions, skipped: list[str] | None, names: np.ndarray) -> np.ndarray:
    """The fields of `Survey` [n, 7]; 0 for an image that is skipped."""
    headers = np.zeros((len(names), len(Survey._fields)), np.int64)
    for row, name in enumerate(names.tolist()):
        try:
            with open_image(files, name) as file:
                header, state = read_header(file, files.path(name)), state_of(file)
            options.require_shape(files.path(name), header.height, header.width)
        except InputError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
            continue
        headers[row] = fields_of(header, state)
    return headers


def _usual(files: Listing, headers: Survey, size: tuple[int, int], number: int) -> str:
    """A size, and how many images have it, or which one if there is one."""
    height, width = size
    first = files.names[(headers.height == height) & (headers.width == width)][0]
    return f"{height} x {width} ({shown(first) if number == 1 else f'{number:,}'})"


def _part(names: list[bytes], files: Listing) -> str:
    return f"{len(names):,} of {len(files.names):,}"


def _share(those: np.ndarray) -> str:
    share = those.mean()
    return f"{share:.0%}" if share in (0, 1) or 0.005 < share < 0.995 else f"{those.sum():,}"
