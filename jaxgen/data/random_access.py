"""A data set from Python: any random-access source of examples, such as a Grain or a Hugging Face data set.

An example is a mapping: `image` uint8 [H, W, C] or [H, W], an array or a Pillow image; perhaps `label`, a whole number;
`features` [F]; `text`, a caption.  Other fields are ignored.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol

import numpy as np

from jaxgen.data.dataset import Dataset, Fields, StreamedDataset, make_dataset, read_arrays
from jaxgen.io.errors import InputError

PROBES = 64
"""Examples, evenly spaced, that identify a source that is too large to be read at once."""


class RandomAccess(Protocol):
    """Examples by index, from 0 to the length - 1, in any order and from several threads at once."""

    def __len__(self) -> int:
        """The number of examples."""
        ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        """One example."""
        ...


def as_dataset(source: Dataset | StreamedDataset | RandomAccess, *, most_bytes: int | None = None) -> Any:
    """A `Dataset` of a source, or a `StreamedDataset` where its images would take more than `most_bytes`.

    The digest of a streamed one is that of its size and of 64 evenly spaced examples.

    Raises:
      InputError: the source has no length or no examples, or an example is not as documented above.
    """
    if isinstance(source, Dataset | StreamedDataset):
        return source
    if not hasattr(source, "__len__") or not hasattr(source, "__getitem__"):
        raise InputError(f"data is a {type(source).__name__}; expected a Dataset, or examples by index with a length.")
    if len(source) == 0:
        raise InputError("data has no examples.")
    name = f"{len(source):,} examples of a {type(source).__name__}"
    first = _example(source, 0)
    fields: Fields = {field: (value.shape, value.dtype) for field, value in first.items()}
    streamed = StreamedDataset(
        read=lambda index: _example(source, index, fields),
        size=len(source),
        fields=fields,
        source=name,
        split="all",
        digest=_digest(source, fields),
    )
    if most_bytes is not None and streamed.num_bytes > most_bytes:
        return streamed
    arrays, captions = read_arrays(streamed), ()
    if isinstance(source[0].get("text"), str):
        captions = tuple(str(source[index]["text"]) for index in range(len(source)))
    label, features = arrays.get("label"), arrays.get("features")
    return make_dataset(arrays["image"], label, features=features, captions=captions, source=name, split="all")


def _example(source: RandomAccess, index: int, fields: Fields | None = None) -> dict[str, np.ndarray]:
    example = source[index]
    if not isinstance(example, Mapping) or "image" not in example:
        raise InputError(f"Example {index} of data is a {type(example).__name__}; expected a mapping with an 'image'.")
    image = np.asarray(example["image"])
    image = image[..., None] if image.ndim == 2 else image
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise InputError(
            f"The image of example {index} of data is {image.dtype}{list(image.shape)}; "
            "expected uint8 [H, W, C] with C = 1 or 3."
        )
    arrays = {"image": image}
    if example.get("label") is not None:
        arrays["label"] = np.asarray(example["label"], np.int32)
    if example.get("features") is not None:
        arrays["features"] = np.asarray(example["features"], np.float32)
    described = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    if fields is not None and described != fields:
        raise InputError(f"Example {index} of data has {_words(described)}; the first one has {_words(fields)}.")
    return arrays


def _digest(source: RandomAccess, fields: Fields) -> str:
    digest = sha256(f"{len(source)}{_words(fields)}".encode())
    for index in np.unique(np.linspace(0, len(source) - 1, PROBES).astype(int)).tolist():
        for array in _example(source, index, fields).values():
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _words(fields: Fields) -> str:
    return ", ".join(f"{name} {dtype}{list(shape)}" for name, (shape, dtype) in fields.items())
