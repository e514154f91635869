"""Image files, in a folder or an archive, read with one size.  Subfolders are classes, in natural order (2 before 10),
if every image is in one.

Captions are in `metadata.jsonl`, a line `{"file_name": ..., "text": ...}` an image: the convention of Hugging Face's
imagefolder.

What fits into memory is read once: the array is kept in the user's cache folder, and read from there as long as no file
has changed.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np

from jaxgen.data.captions import read_captions
from jaxgen.data.class_names import natural_order
from jaxgen.data.dataset import Dataset, FieldTypes, StreamedDataset, make_dataset, read_arrays
from jaxgen.data.image_file import decode
from jaxgen.data.image_options import ImageOptions
from jaxgen.data.listing import Listing, list_folder
from jaxgen.data.packed import list_archive
from jaxgen.data.survey import digest_of, open_image, spec_of, survey
from jaxgen.io.archive import read_cached, trim_cache, write_cached
from jaxgen.io.errors import InputError
from jaxgen.io.files import cache_folder

CACHED_FROM = 1_000
"""From so many images on, their array is cached."""


def read_images(
    path: Path, announce: Callable[[str], None], options: ImageOptions, most_bytes: int | None
) -> Dataset | StreamedDataset:
    """The images of a folder, or of a .zip, .tar or .tar.gz; streamed if they would take more than `most_bytes`.

    Raises:
      InputError: no images, one that cannot be read, several sizes without one in the options, or captions that do not
        go with them.
    """
    files = list_files(path, announce)
    cached = cache_folder() / "images" / f"{_key(files, options)}.npz" if len(files.names) >= CACHED_FROM else None
    fits = cached and cached.is_file() and (most_bytes is None or cached.stat().st_size <= most_bytes)
    if cached and fits and (arrays := read_cached(cached)):
        return _dataset(files, path, arrays)
    streamed = stream_images(files, path, announce, options)
    if most_bytes is not None and streamed.num_bytes > most_bytes:
        announce(f"{streamed.size:,} images of {streamed.num_bytes / 1e9:,.1f} GB are streamed from disk")
        return streamed
    arrays = read_arrays(streamed)
    if cached:
        write_cached(cached, {"image": arrays["image"]})
        trim_cache(cached.parent)
    return _dataset(files, path, arrays)


def list_files(path: Path, announce: Callable[[str], None]) -> Listing:
    """The image files of a folder or an archive.

    Raises:
      InputError: there are none, or they cannot be listed.
    """
    return list_folder(path, announce) if path.is_dir() else list_archive(path, announce)


def stream_images(
    files: Listing, path: Path, announce: Callable[[str], None], options: ImageOptions
) -> StreamedDataset:
    """The images of a listing, in the order of their paths; only the headers are read here.

    The result is grey if every image is, or the options say so, else RGB.

    Raises:
      InputError: as `read_images`.
    """
    names, headers = files.names, survey(files, announce)
    spec = spec_of(files, headers, options, announce)
    digest = digest_of(files, headers, options, spec)
    labels, class_names = labels_of(names)
    captions = captions_of(files)
    if captions:
        digest = sha256((digest + "\0".join(captions)).encode()).hexdigest()

    def read(index: int) -> dict[str, np.ndarray]:
        path = files.path(names[index])
        with open_image(files, names[index]) as file:
            image = decode(file, path, options)
            num_bytes = file.seek(0, os.SEEK_END)
        if num_bytes != headers.num_bytes[index] or image.shape not in (spec, (*spec[:2], 1)):
            raise InputError(f"{path} has changed since it was listed: start again with the folder as it is now.")
        example = {"image": np.broadcast_to(image, spec)}
        return example if labels is None else {**example, "label": labels[index]}

    fields: FieldTypes = {"image": (tuple(spec), np.dtype(np.uint8))}
    if labels is not None:
        fields["label"] = ((), labels.dtype)
    return StreamedDataset(read, len(names), fields, f"images in {path}", "all", digest, captions, class_names)


def _dataset(files: Listing, path: Path, arrays: dict[str, np.ndarray]) -> Dataset:
    labels, class_names = labels_of(files.names)
    return make_dataset(
        arrays["image"],
        labels,
        captions=captions_of(files),
        class_names=class_names,
        source=f"images in {path}",
        split="all",
    )


def _key(files: Listing, options: ImageOptions) -> str:
    """What the cached array is called: it depends on the files, and on how they are read."""
    return sha256(f"{files.place} {files.stamp()} {tuple(options)}".encode("utf-8", "surrogateescape")).hexdigest()[:32]


def captions_of(files: Listing) -> tuple[str, ...]:
    """The captions of all images, or none if there is no `metadata.jsonl`.

    Raises:
      InputError: as `read_captions`.
    """
    if files.metadata is None:
        return ()
    return read_captions(files.metadata, files.place, [os.fsdecode(name) for name in files.names.tolist()])


def labels_of(names: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The labels and the names of the classes, if every image is in a subfolder."""
    if not all(b"/" in name for name in names):
        return None, ()
    places = [name.partition(b"/")[0].decode(errors="backslashreplace") for name in names]
    class_names = tuple(sorted(set(places), key=natural_order))
    numbers = {place: number for number, place in enumerate(class_names)}
    return np.array([numbers[place] for place in places], np.int32), class_names
