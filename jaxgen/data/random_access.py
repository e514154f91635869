"""A data set from Python: any random-access source of examples, such as a Grain or a Hugging Face data set.

An example is a mapping: `image` uint8 [H, W, C] or [H, W], an array, or a Pillow image or the bytes of an image file,
which are read as a file is; perhaps `label`, a whole number; `features` [F]; `text`, a caption.  All examples have the
same fields; others, and those that are None, are ignored.
"""

import io
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from math import prod
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from jaxgen.data.captions import require_characters
from jaxgen.data.dataset import Dataset, StreamedDataset, as_features, as_labels, in_memory, read_arrays
from jaxgen.data.image_file import decode, from_pillow, with_channels
from jaxgen.data.image_options import AS_STORED, ImageOptions
from jaxgen.data.resize import resized, resized_image
from jaxgen.io.errors import InputError, first_line

PROBES = 64
"""Examples, evenly spaced, that tell what fields and channels all have, and identify a source that is streamed."""


class RandomAccess(Protocol):
    """Examples by index, from 0 to the length - 1, in any order and from several threads at once."""

    def __len__(self) -> int:
        """The number of examples."""
        ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        """One example."""
        ...


@runtime_checkable
class Named(Protocol):
    """A source that says in errors where an example is."""

    def where(self, index: int) -> str:
        """The place of an example."""
        ...


class _Example(NamedTuple):
    arrays: dict[str, np.ndarray]
    caption: str | None

    def __str__(self) -> str:
        arrays = [f"{name} {array.dtype}{list(array.shape)}" for name, array in self.arrays.items()]
        return ", ".join(arrays + ["text"] * (self.caption is not None))


def as_dataset(
    source: Dataset | StreamedDataset | RandomAccess,
    *,
    most_bytes: int | None = None,
    images: ImageOptions = AS_STORED,
    skip_damaged: bool = False,
) -> Any:
    """A `Dataset` of a source, or a `StreamedDataset` where its images would take more than `most_bytes`.

    `images` says which size and colours the images are brought to.

    The digest of a streamed one is that of its size and of 64 evenly spaced examples; its captions are read if the
    source has them all, as an attribute `captions`.  With `skip_damaged` an example among these 64 may be damaged.

    Raises:
      InputError: the source has no length or no examples, or an example is not as documented above.
    """
    if isinstance(source, Dataset | StreamedDataset):
        return resized(source, images)
    if not hasattr(source, "__len__") or not hasattr(source, "__getitem__"):
        raise InputError(f"data is a {type(source).__name__}; expected a Dataset, or examples by index with a length.")
    if len(source) == 0:
        raise InputError("data has no examples.")
    probes = _probes(source, images, skip_damaged=skip_damaged)
    # The fields that the others must have: those of the first in colour, or of the first.
    model = max(probes.values(), key=lambda example: example.arrays["image"].shape[-1])
    shape, captions = model.arrays["image"].shape, [""] * len(source)
    is_streamed = most_bytes is not None and len(source) * prod(shape) > most_bytes

    def read(index: int) -> dict[str, np.ndarray]:
        example = _read(source, index, images, model)
        if example.caption is not None and not is_streamed:
            captions[index] = example.caption
        return example.arrays

    streamed = StreamedDataset(
        read=read,
        size=len(source),
        fields={field: (array.shape, array.dtype) for field, array in model.arrays.items()},
        source=f"{len(source):,} examples of a {type(source).__name__}",
        split="all",
        digest=_digest(source, images, model, probes) if is_streamed else "",
        captions=() if model.caption is None else getattr(source, "captions", ()),
        class_names=_class_names(source) if "label" in model.arrays else (),
    )
    if is_streamed:
        return streamed
    arrays = read_arrays(streamed)
    return in_memory(replace(streamed, captions=() if model.caption is None else tuple(captions)), arrays)


def _probes(source: RandomAccess, images: ImageOptions, *, skip_damaged: bool) -> dict[int, _Example]:
    """Evenly spaced examples by index, at most `PROBES`; with `skip_damaged` those that can be read, at least one."""
    readable, failure = {}, None
    for index in np.unique(np.linspace(0, len(source) - 1, PROBES).astype(int)).tolist():
        try:
            readable[index] = _read(source, index, images)
        except InputError as error:
            failure = error
            if not skip_damaged:
                raise
    if not readable and failure:
        raise failure
    return readable


def _read(source: RandomAccess, index: int, images: ImageOptions, model: _Example | None = None) -> _Example:
    """One example, checked, with the fields of the model; a grey image becomes one in colour if the model is."""
    where = source.where(index) if isinstance(source, Named) else f"Example {index} of data"
    example = source[index]
    if not isinstance(example, Mapping) or example.get("image") is None:
        raise InputError(f"{where} is a {type(example).__name__}; expected a mapping with an 'image'.")
    image = example["image"]
    is_array = not isinstance(image, Image.Image | bytes)
    image = _array(image, "image", where) if is_array else _decoded(image, where, images)
    image = image[..., None] if image.ndim == 2 else image
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise InputError(
            f"{where}: the image is {image.dtype}{list(image.shape)}; expected uint8 [H, W, C] with C = 1 or 3."
        )
    if is_array and images != AS_STORED:
        image = resized_image(image, where, images)
    if model is not None and image.shape[-1] < model.arrays["image"].shape[-1]:
        image = with_channels(image, 3)
    arrays = {"image": image}
    for name, check in (("label", as_labels), ("features", as_features)):
        if example.get(name) is not None:
            arrays[name] = check(_array(example[name], name, where)[None], 1, where)[0]
    caption = example.get("text")
    if not isinstance(caption, str | None):
        raise InputError(f"{where}: the text is a {type(caption).__name__}; expected one caption, a str.")
    require_characters(caption or "", where)
    read = _Example(arrays, caption)
    if model is not None and str(read) != str(model):
        raise InputError(f"{where} has {read}; others have {model}.")
    return read


def _decoded(image: Image.Image | bytes, where: str, images: ImageOptions) -> np.ndarray:
    return decode(io.BytesIO(image), where, images) if isinstance(image, bytes) else from_pillow(image, where, images)


def _class_names(source: RandomAccess) -> tuple[str, ...]:
    """The names of classes as Hugging Face data sets have them, `features["label"].names`; empty if there are none."""
    features = getattr(source, "features", None)
    label = features.get("label") if isinstance(features, Mapping) else None
    return tuple(map(str, getattr(label, "names", None) or ()))


def _array(value: Any, name: str, where: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: the field {name!r} is not an array: {first_line(error)}") from error


def _digest(source: RandomAccess, images: ImageOptions, model: _Example, probes: Mapping[int, _Example]) -> str:
    how = "" if images == AS_STORED else tuple(images)
    named = _class_names(source), tuple(getattr(source, "captions", ()))
    digest = sha256(f"{len(source)}{model}{how}{named if any(named) else ''}".encode())
    for index in probes:
        for array in _read(source, index, images, model).arrays.values():
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
