"""Data sets whose images or clips are arrays, brought to the size and the colours that `ImageOptions` ask for."""

from dataclasses import replace
from hashlib import sha256
from typing import overload

import numpy as np
from PIL import Image

from jaxgen.data.dataset import CLIP, Dataset, StreamedDataset, as_streamed, pixel_field, read_arrays, with_field
from jaxgen.data.image_file import from_pillow
from jaxgen.data.image_options import ImageOptions


@overload
def resized(dataset: Dataset, options: ImageOptions) -> Dataset: ...


@overload
def resized(dataset: StreamedDataset, options: ImageOptions) -> StreamedDataset: ...


def resized(dataset: Dataset | StreamedDataset, options: ImageOptions) -> Dataset | StreamedDataset:
    """The data set with images or frames at the size of the options, grey if they say so; arrays are not transparent.

    Raises:
      InputError: the shape of the images is far from that of the options.
    """
    if options.size in (None, dataset.spec[:2]) and (not options.grey or dataset.spec.channels == 1):
        return dataset
    if isinstance(dataset, StreamedDataset):
        return _resized(dataset, options)
    streamed = _resized(as_streamed(dataset), options)
    field = pixel_field(dataset.fields)
    return with_field(dataset, **read_arrays(replace(streamed, fields={field: streamed.fields[field]})))


def resized_image(image: np.ndarray, name: object, options: ImageOptions) -> np.ndarray:
    """An image uint8 [H, W, C] at the size of the options; `name` is its name in errors.

    Raises:
      InputError: its shape is far from that of the options.
    """
    return from_pillow(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), name, options)


def _resized(dataset: StreamedDataset, options: ImageOptions) -> StreamedDataset:
    field = pixel_field(dataset.fields)

    def read(index: int) -> dict[str, np.ndarray]:
        example = dataset.read(index)
        name, pixels = f"{field.capitalize()} {index} of {dataset.source}", example[field]
        frames = [resized_image(frame, name, options) for frame in (pixels if field == CLIP else pixels[np.newaxis])]
        return {**example, field: np.stack(frames) if field == CLIP else frames[0]}

    digest = sha256(f"{dataset.digest}{tuple(options)}".encode()).hexdigest()
    fields = dataset.fields | {field: (read(0)[field].shape, np.dtype(np.uint8))}
    return replace(dataset, read=read, fields=fields, digest=digest)
