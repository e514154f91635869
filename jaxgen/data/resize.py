"""Data sets whose images are arrays, brought to the size and the colours that `ImageOptions` ask for."""

from dataclasses import replace
from hashlib import sha256
from typing import overload

import numpy as np
from PIL import Image

from jaxgen.data.dataset import Dataset, StreamedDataset, as_streamed, read_arrays, with_field
from jaxgen.data.image_file import from_pillow
from jaxgen.data.image_options import ImageOptions


@overload
def resized(dataset: Dataset, options: ImageOptions) -> Dataset: ...


@overload
def resized(dataset: StreamedDataset, options: ImageOptions) -> StreamedDataset: ...


def resized(dataset: Dataset | StreamedDataset, options: ImageOptions) -> Dataset | StreamedDataset:
    """The data set with its images at the size of the options, and grey if they say so; arrays are never transparent.

    Raises:
      InputError: the shape of the images is far from that of the options.
    """
    if options.size is None and not options.grey:
        return dataset
    if isinstance(dataset, StreamedDataset):
        return _resized(dataset, options)
    streamed = _resized(as_streamed(dataset), options)
    images = read_arrays(replace(streamed, fields={"image": streamed.fields["image"]}))["image"]
    return with_field(dataset, image=images)


def resized_image(image: np.ndarray, name: object, options: ImageOptions) -> np.ndarray:
    """An image uint8 [H, W, C] at the size of the options; `name` is its name in errors.

    Raises:
      InputError: its shape is far from that of the options.
    """
    return from_pillow(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), name, options)


def _resized(dataset: StreamedDataset, options: ImageOptions) -> StreamedDataset:
    def read(index: int) -> dict[str, np.ndarray]:
        example = dataset.read(index)
        name = f"Image {index} of {dataset.source}"
        return {**example, "image": resized_image(example["image"], name, options)}

    digest = sha256(f"{dataset.digest}{tuple(options)}".encode()).hexdigest()
    fields = dataset.fields | {"image": (read(0)["image"].shape, np.dtype(np.uint8))}
    return replace(dataset, read=read, fields=fields, digest=digest)
