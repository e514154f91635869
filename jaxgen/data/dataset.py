"""A data set: its arrays in memory, or a function that reads one example from disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np

from jaxgen.core.image import ImageSpec
from jaxgen.data.threads import by_threads
from jaxgen.data.tokenizer import Tokenizer
from jaxgen.io.errors import InputError

CLIP = "clip"
"""The field that a data set of clips has in the place of `image`."""
FieldTypes = dict[str, tuple[tuple[int, ...], np.dtype]]
"""Shape and dtype of one example, by name."""


@dataclass(frozen=True)
class Dataset:
    """Examples as arrays with TFDS's names (`image` uint8 [N, H, W, C]; `label` int32 [N]), and their source.

    In the place of `image` there may be `clip` uint8 [N, T, H, W, C], clips of T frames.

    `digest` is the SHA-256 of the arrays' names, shapes and bytes; captions change it only once they are encoded.
    `captions` are N texts, or empty; `tokenizer` is the one that encoded them as `text` int32 [N, T], if any.
    `class_names` are the names of the labels 0, 1, ..., or empty.
    """

    arrays: dict[str, np.ndarray]
    source: str
    split: str
    digest: str
    captions: tuple[str, ...] = ()
    tokenizer: Tokenizer | None = None
    class_names: tuple[str, ...] = ()

    @property
    def pixels(self) -> np.ndarray:
        """The images uint8 [N, H, W, C], or the clips uint8 [N, T, H, W, C]."""
        return self.arrays[pixel_field(self.arrays)]

    @property
    def size(self) -> int:
        """The number of examples, N."""
        return len(self.pixels)

    @property
    def classes(self) -> int | None:
        """The number of classes: that of their names or else the largest label + 1; None without labels."""
        label = self.arrays.get("label")
        return len(self.class_names) or (None if label is None else max(0, int(label.max()) + 1))

    @property
    def spec(self) -> ImageSpec:
        """The size of an image, or of a frame of a clip."""
        return ImageSpec(*self.pixels.shape[-3:])

    @property
    def fields(self) -> FieldTypes:
        """Shape and dtype of one example, e.g. {"image": ((28, 28, 1), uint8), "label": ((), int32)}."""
        return {name: (array.shape[1:], array.dtype) for name, array in self.arrays.items()}


@dataclass(frozen=True)
class StreamedDataset:
    """Examples that stay on disk: `read` gives the one at an index, in any order and from several threads at once.

    `fields` are shape and dtype of one example, e.g. {"image": ((28, 28, 1), uint8), "label": ((), int32)}.
    `digest` identifies the data without reading all of them: the SHA-256 of the files' names and sizes, or of a sample
    of the examples.  `captions` are N texts, or empty.  `class_names` are the names of the labels 0, 1, ..., or empty;
    without names `num_classes` is the number of classes, if it is known.
    """

    read: Callable[[int], dict[str, np.ndarray]]
    size: int
    fields: FieldTypes
    source: str
    split: str
    digest: str
    captions: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    num_classes: int | None = None

    @property
    def classes(self) -> int | None:
        """The number of classes if it is known, None if not."""
        return len(self.class_names) or self.num_classes

    @property
    def spec(self) -> ImageSpec:
        """The size of an image, or of a frame of a clip."""
        return ImageSpec(*self.fields[pixel_field(self.fields)][0][-3:])

    @property
    def num_bytes(self) -> int:
        """The memory that all images or clips would take."""
        return self.size * prod(self.fields[pixel_field(self.fields)][0])


def make_dataset(
    image: np.ndarray,
    label: np.ndarray | None,
    *,
    features: np.ndarray | None = None,
    captions: tuple[str, ...] = (),
    class_names: tuple[str, ...] = (),
    source: str,
    split: str,
) -> Dataset:
    """Makes a data set of arrays, perhaps with N captions and the names of classes; grey images may be [N, H, W].

    Raises:
      InputError: not uint8, not of rank 3 or 4, not 1 or 3 channels, empty, or labels or features that do not fit.
    """
    if image.dtype != np.uint8:
        raise InputError(f"{source}: the images are {image.dtype}; expected uint8 from 0 to 255.")
    if image.ndim == 3:
        image = image[..., np.newaxis]
    if image.ndim != 4 or image.shape[-1] not in (1, 3):
        raise InputError(f"{source}: the images have shape {image.shape}; expected [N, H, W, C] with C = 1 or 3.")
    if image.size == 0:
        raise InputError(f"{source}: there are no images.")
    arrays = {"image": np.ascontiguousarray(image)}
    if label is not None:
        arrays["label"] = as_labels(label, len(image), source)
    if features is not None:
        arrays["features"] = as_features(features, len(image), source)
    return Dataset(arrays, source, split, _digest(arrays), captions, class_names=class_names)


def make_clips(
    clip: np.ndarray,
    label: np.ndarray | None = None,
    *,
    captions: tuple[str, ...] = (),
    class_names: tuple[str, ...] = (),
    source: str,
    split: str,
) -> Dataset:
    """Makes a data set of clips uint8 [N, T, H, W, C], perhaps with N labels or captions.

    Raises:
      InputError: not uint8, another rank, not 1 or 3 channels, fewer than 2 frames, empty, or labels that do not fit.
    """
    if clip.dtype != np.uint8 or clip.ndim != 5 or clip.shape[-1] not in (1, 3) or clip.shape[1] < 2 or not clip.size:
        raise InputError(
            f"{source}: the clips are {clip.dtype}{list(clip.shape)}; expected uint8[N, T, H, W, C] with T from 2 on "
            "and C = 1 or 3."
        )
    arrays = {CLIP: np.ascontiguousarray(clip)}
    if label is not None:
        arrays["label"] = as_labels(label, len(clip), source)
    return Dataset(arrays, source, split, _digest(arrays), captions, class_names=class_names)


def with_field(dataset: Dataset, **field: np.ndarray) -> Dataset:
    """The data set with an array added or replaced; new labels have no class names."""
    arrays = {**dataset.arrays, **field}
    class_names = () if "label" in field else dataset.class_names
    return replace(dataset, arrays=arrays, digest=_digest(arrays), class_names=class_names)


def subset(dataset: Dataset, chosen: np.ndarray, *, split: str) -> Dataset:
    """The examples with these indices, or those for which a mask [N] is true."""
    arrays = {name: array[chosen] for name, array in dataset.arrays.items()}
    captions = tuple(np.array(dataset.captions, object)[chosen]) if dataset.captions else ()
    return replace(dataset, arrays=arrays, digest=_digest(arrays), captions=captions, split=split)


def shrink(dataset: Dataset, side: int) -> Dataset:
    """The data set with its square images, or frames of clips, reduced to `side` pixels by averaging blocks of pixels.

    Raises:
      InputError: the images are not square, or their side is not a multiple.
    """
    pixels = dataset.pixels
    small = shrink_images(pixels.reshape(-1, *dataset.spec), side, dataset.source)
    return with_field(dataset, **{pixel_field(dataset.arrays): small.reshape(*pixels.shape[:-3], *small.shape[1:])})


def shrink_images(images: np.ndarray, side: int, source: str) -> np.ndarray:
    """Square images uint8 [N, H, H, C] reduced to [N, side, side, C] by averaging blocks of pixels.

    Raises:
      InputError: the images of `source` are not square, or their side is not a multiple.
    """
    num, height, width, channels = images.shape
    if height != width or height % side:
        raise InputError(f"{source}: images of {height}x{width}; expected squares of a multiple of {side}.")
    blocks = images.reshape(num, side, height // side, side, width // side, channels)
    return np.round(blocks.mean((2, 4))).astype(np.uint8)


def pixel_field(fields: Mapping[str, object]) -> str:
    """The name of the field of images or clips."""
    return CLIP if CLIP in fields else "image"


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = sha256()
    for name, array in arrays.items():
        digest.update(f"{name}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def as_labels(array: np.ndarray, num: int, source: str) -> np.ndarray:
    """Labels as int32 [num].

    Raises:
      InputError: another shape, no whole numbers, or one that int32 does not hold.
    """
    if array.shape != (num,) or not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"{source}: the labels are {array.dtype}{list(array.shape)}; expected whole numbers [{num}].")
    labels = array.astype(np.int32)
    if (labels != array).any():
        raise InputError(f"{source}: the label {array[labels != array][0]} is out of range: expected int32.")
    return labels


def as_features(array: np.ndarray, num: int, source: str) -> np.ndarray:
    """Features as float32 [num, F].

    Raises:
      InputError: another shape, no numbers, or one that is not finite.
    """
    if array.ndim != 2 or len(array) != num or array.shape[1] == 0 or array.dtype.kind not in "fiu":
        raise InputError(f"{source}: the features are {array.dtype}{list(array.shape)}; expected numbers [{num}, F].")
    array = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{source}: a feature is not finite.")
    return array


def read_arrays(dataset: StreamedDataset) -> dict[str, np.ndarray]:
    """All examples of a data set that fits into memory, [N, ...] by name; read by a thread for each core.

    Raises:
      InputError: an example is damaged.
    """
    arrays = {name: np.empty((dataset.size, *shape), dtype) for name, (shape, dtype) in dataset.fields.items()}

    def read(index: int) -> None:
        example = dataset.read(index)
        for name, array in arrays.items():
            array[index] = example[name]

    kind = "clips" if CLIP in arrays else "images"
    by_threads(read, range(dataset.size), f"Reading {dataset.size:,} {kind}")
    return arrays


def sample_of(streamed: StreamedDataset, num: int, seed: int) -> Dataset:
    """A random sample of `num` examples of a streamed data set, in their order, in memory and without captions.

    Raises:
      InputError: an example is damaged.
    """
    chosen = np.sort(np.random.default_rng(seed).choice(streamed.size, num, replace=False)).tolist()
    sample = replace(streamed, read=lambda index: streamed.read(chosen[index]), size=num, captions=())
    return in_memory(sample, read_arrays(sample))


def in_memory(streamed: StreamedDataset, arrays: dict[str, np.ndarray]) -> Dataset:
    """A streamed data set whose arrays [N, ...] by name have been read."""
    described: dict[str, Any] = {
        name: getattr(streamed, name) for name in ("captions", "class_names", "source", "split")
    }
    if CLIP in arrays:
        return make_clips(arrays[CLIP], arrays.get("label"), **described)
    return make_dataset(arrays["image"], arrays.get("label"), features=arrays.get("features"), **described)


def as_streamed(dataset: Dataset) -> StreamedDataset:
    """A data set in memory as one that is read one example at a time."""
    return StreamedDataset(
        read=lambda index: {name: array[index] for name, array in dataset.arrays.items()},
        size=dataset.size,
        fields=dataset.fields,
        source=dataset.source,
        split=dataset.split,
        digest=dataset.digest,
        captions=dataset.captions,
        class_names=dataset.class_names,
        num_classes=dataset.classes,
    )
