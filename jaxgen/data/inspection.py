"""What a folder, an archive or a data set holds: sizes, colours, classes, captions, duplicates, what cannot be read.

Images are read a few at a time, and what is kept of each is its header, a digest and a thumbnail.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jaxgen.data.annotations import captions_of, labels_of
from jaxgen.data.dataset import Dataset
from jaxgen.data.duplicates import equal_groups, is_grey, near_groups, pixel_digest, thumbnail
from jaxgen.data.image_file import Header, decode_with_header
from jaxgen.data.image_options import AS_STORED, ImageOptions
from jaxgen.data.listing import LeftOut, Listing, shown
from jaxgen.data.resize import resized_image
from jaxgen.data.survey import open_image
from jaxgen.data.threads import by_threads
from jaxgen.data.tokenizer import words_of
from jaxgen.io.errors import InputError

WORDS = 20
"""Words of captions that are counted."""


class Pictures(NamedTuple):
    """N images that are not read yet, by name; `read` gives the header and the pixels of the one at an index.

    `labels` are int32 [N], or None without classes; `problems` are lines about what was not understood.
    """

    names: list[str]
    read: Callable[[int, ImageOptions], tuple[Header, np.ndarray]]
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    left_out: LeftOut = LeftOut([], Counter())
    problems: tuple[str, ...] = ()


class Inspected(NamedTuple):
    """What is kept of an image: its header, whether its pixels are grey, their digest, and a thumbnail [8, 9, 3]."""

    header: Header
    is_grey: bool
    digest: bytes
    thumbnail: np.ndarray


def pictures_in(files: Listing) -> Pictures:
    """The images of a listing; labels or captions that do not go with them are a problem, not an error."""
    names, problems = files.names.tolist(), []
    labels, class_names, captions = None, (), ()
    try:
        labels, class_names = labels_of(files, problems.append)
    except InputError as error:
        problems.append(str(error))
    try:
        captions = captions_of(files, problems.append)
    except InputError as error:
        problems.append(str(error))
    outside = [name for name in names if name.count(b"/") <= files.depth]
    if labels is None and 0 < len(outside) < len(names):
        number = f"{len(outside):,} of {len(names):,} images are in no subfolder"
        problems.append(f"There are no classes: {number}, as {shown(outside[0])}.")

    def read(index: int, options: ImageOptions) -> tuple[Header, np.ndarray]:
        path = files.path(names[index])
        with open_image(files, names[index]) as file:
            return decode_with_header(file, path, options)

    texts = [shown(name) for name in names]
    return Pictures(texts, read, labels, class_names, captions, files.left_out, tuple(problems))


def pictures_of(data: Dataset) -> Pictures:
    """The images of a data set in memory, whose names are their indices."""
    images = data.arrays["image"]

    def read(index: int, options: ImageOptions) -> tuple[Header, np.ndarray]:
        image = resized_image(images[index], f"Image {index} of {data.source}", options)
        return Header(*data.spec, is_deep=False, is_transparent=False, format="array"), image

    labels, class_names = data.arrays.get("label"), data.class_names
    if labels is not None and not class_names:
        values, labels = np.unique(labels, return_inverse=True)
        class_names = tuple(map(str, values.tolist()))
    return Pictures([str(index) for index in range(data.size)], read, labels, class_names, data.captions)


def inspect_images(pictures: Pictures, background: str) -> list[Inspected | str]:
    """Reads all images at their own sizes; in the place of one that is damaged there is the reason."""
    num = len(pictures.names)
    one = partial(_inspect_image, pictures, AS_STORED._replace(background=background))
    return by_threads(one, range(num), f"Reading {num:,} images")


def refused_shapes(pictures: Pictures, images: list[Inspected | str], options: ImageOptions) -> dict[int, str]:
    """The reasons, by index, for images that cannot be brought to the size of the options."""
    reasons = {}
    for index, (name, image) in enumerate(zip(pictures.names, images, strict=True)):
        try:
            if isinstance(image, Inspected):
                options.require_shape(name, image.header.height, image.header.width)
        except InputError as error:
            reasons[index] = str(error)
    return reasons


def usable_images(images: list[Inspected | str], refused: dict[int, str]) -> dict[int, Inspected]:
    """The images, by index, that are neither damaged nor refused for their shape: those that training reads."""
    return {index: image for index, image in enumerate(images) if isinstance(image, Inspected) and index not in refused}


def summary(pictures: Pictures, images: list[Inspected | str], options: ImageOptions) -> dict[str, Any]:
    """What was found, for JSON; sizes are height x width, the most frequent first.

    Sizes, colours and duplicates are those of all readable images, classes and captions of those that training reads.
    """
    names, refused = pictures.names, refused_shapes(pictures, images, options)
    readable = usable_images(images, {})
    usable = usable_images(images, refused)
    damaged = {index: image for index, image in enumerate(images) if isinstance(image, str)}
    return {
        "images": len(names),
        **_shapes(readable.values()),
        "enlarged": sum(options.scale(*image.header[:2]) > 1 for image in usable.values()),
        **_colours(readable.values()),
        "classes": _classes(pictures, usable),
        "captions": _captions([pictures.captions[index] for index in usable]) if pictures.captions else None,
        **_duplicates(names, readable),
        "damaged": [{"file": names[index], "reason": reason} for index, reason in damaged.items()],
        "refused": [{"file": names[index], "reason": reason} for index, reason in refused.items()],
        "hidden": [shown(os.fsencode(name)) for name in sorted(pictures.left_out.hidden)],
        "other_files": dict(_by_number(pictures.left_out.others)),
        "problems": list(pictures.problems),
    }


def _shapes(images: Collection[Inspected]) -> dict[str, object]:
    shapes = [image.header[:2] for image in images]
    sides = [side for shape in shapes for side in shape]
    return {
        "sizes": {f"{height}x{width}": number for (height, width), number in _by_number(Counter(shapes))},
        "smallest_side": min(sides, default=None),
        "largest_side": max(sides, default=None),
        "median_side": float(np.median([min(shape) for shape in shapes])) if shapes else None,
    }


def _colours(images: Collection[Inspected]) -> dict[str, object]:
    headers = [image.header for image in images]
    return {
        "grey": sum(image.is_grey for image in images),
        "grey_in_colour_files": sum(image.is_grey and image.header.channels > 1 for image in images),
        "transparent": sum(header.is_transparent for header in headers),
        "sixteen_bit": sum(header.is_deep for header in headers),
        "formats": dict(_by_number(Counter(header.format for header in headers))),
    }


def _classes(pictures: Pictures, usable: dict[int, Inspected]) -> dict[str, int] | None:
    if pictures.labels is None:
        return None
    labels, numbers = np.unique(pictures.labels[list(usable)], return_counts=True)
    counts = dict(zip(labels.tolist(), numbers.tolist(), strict=True))
    names = dict(enumerate(pictures.class_names))
    return {names.get(label, str(label)): counts.get(label, 0) for label in sorted({*names, *counts})}


def _captions(captions: list[str]) -> dict[str, object]:
    words = words_of(captions)
    lengths = [len(each) for each in words]
    frequent = _by_number(Counter(word for each in words for word in each))[:WORDS]
    return {
        "number": len(captions),
        "distinct": len(set(captions)),
        "words": {"least": min(lengths), "mean": float(np.mean(lengths)), "most": max(lengths)} if lengths else None,
        "distinct_words": len({word for each in words for word in each}),
        "frequent_words": dict(frequent),
    }


def _duplicates(names: list[str], images: dict[int, Inspected]) -> dict[str, object]:
    """Groups of equal images and of near duplicates, by name; of equal images one is compared with others."""
    there = np.array(list(images), int)
    equal = equal_groups(image.digest for image in images.values())
    kept = np.setdiff1d(np.arange(len(there)), [index for group in equal for index in group[1:]])
    near = near_groups(np.array([images[index].thumbnail for index in there[kept]])) if len(kept) > 1 else []
    return {
        "equal": [[names[index] for index in there[group]] for group in equal],
        "near": [[names[index] for index in there[kept[group]]] for group in near],
    }


def _by_number(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """The counts, the largest first; equal ones in the order of what is counted."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _inspect_image(pictures: Pictures, options: ImageOptions, index: int) -> Inspected | str:
    try:
        header, image = pictures.read(index, options)
    except InputError as error:
        return str(error)
    return Inspected(header, is_grey(image), pixel_digest(image), thumbnail(image))
