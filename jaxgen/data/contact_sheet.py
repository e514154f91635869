"""A contact sheet: evenly spaced images as training sees them, with a row for each class."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from PIL import Image

from jaxgen.data.image_options import ImageOptions
from jaxgen.data.inspection import Pictures
from jaxgen.io.pictures import EMPTY

T = TypeVar("T")

MOST = 10
"""The most rows, and images in a row."""
CELL = 256
"""The longest side of an image on the sheet; larger ones are scaled down."""


def sheet_rows(pictures: Pictures, usable: list[int]) -> list[list[int]]:
    """The indices of the images in each row, out of those that are `usable`."""
    if pictures.labels is None:
        chosen = _spread(usable, MOST * MOST)
        columns = math.ceil(math.sqrt(len(chosen)))
        return [chosen[start : start + columns] for start in range(0, len(chosen), columns)]
    labels = pictures.labels[usable]
    members = [np.array(usable)[labels == label].tolist() for label in np.unique(labels)]
    return [_spread(row, MOST) for row in _spread(members, MOST)]


def contact_sheet(pictures: Pictures, rows: list[list[int]], options: ImageOptions) -> tuple[np.ndarray, int]:
    """Rows of images as uint8 [R * K, H, W, 3], K to a row, and K; what is empty is grey.

    Raises:
      InputError: an image has changed since it was inspected.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        cells = [list(pool.map(lambda index: _cell(pictures, index, options), row)) for row in rows]
    height, width = (max(cell.shape[axis] for row in cells for cell in row) for axis in (0, 1))
    columns = max(map(len, rows))
    sheet = np.full((len(rows), columns, height, width, 3), EMPTY, np.uint8)
    for row, images in enumerate(cells):
        for column, image in enumerate(images):
            top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
            sheet[row, column, top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet.reshape(-1, height, width, 3), columns


def _cell(pictures: Pictures, index: int, options: ImageOptions) -> np.ndarray:
    """An image as training sees it, in colour, and not larger than a cell."""
    _, array = pictures.read(index, options)
    image = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).convert("RGB")
    share = CELL / max(image.size)
    if share < 1:
        width, height = (max(1, round(side * share)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _spread(items: list[T], num: int) -> list[T]:
    """At most `num` of the items, evenly spread."""
    return [items[place * len(items) // num] for place in range(num)] if len(items) > num else items
