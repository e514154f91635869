"""Image files of one size, in a folder or an archive.  Subfolders are classes, in natural order (2 before 10), if every
image is in one.

Captions are in `metadata.jsonl`, a line `{"file_name": ..., "text": ...}` an image: the convention of Hugging Face's
imagefolder.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxgen.core.image import ImageSpec
from jaxgen.data.captions import read_captions
from jaxgen.data.class_names import natural_order
from jaxgen.data.dataset import Dataset, FieldTypes, StreamedDataset, make_dataset, read_arrays
from jaxgen.data.image_file import decode, read_header
from jaxgen.data.listing import Listing, list_folder, shown
from jaxgen.data.packed import list_archive
from jaxgen.io.errors import InputError, refuse_damage

MANY, CHUNK, THREADS = 10_000, 1_000, 8
"""More headers than MANY are announced; a thread reads a CHUNK of them at a time."""


def read_folder(folder: StreamedDataset) -> Dataset:
    """The images of a folder that fits into memory.

    Raises:
      InputError: an image cannot be read.
    """
    arrays = read_arrays(folder)
    return make_dataset(
        arrays["image"],
        arrays.get("label"),
        captions=folder.captions,
        class_names=folder.class_names,
        source=folder.source,
        split=folder.split,
    )


def stream_folder(folder: Path, announce: Callable[[str], None]) -> StreamedDataset:
    """The images of a folder and its subfolders, in the order of their paths; only the headers are read here.

    Transparent images are put on white.  The result is grey if every image is, else RGB.

    Raises:
      InputError: no images, one whose header cannot be read, more than one size, or captions that do not go with them.
    """
    return _stream(list_folder(folder, announce), f"images in {folder}", announce)


def stream_archive(path: Path, announce: Callable[[str], None]) -> StreamedDataset:
    """The images in a .zip, .tar or .tar.gz, as `stream_folder` gives those of the unpacked folder.

    Raises:
      InputError: as `stream_folder`, or the archive cannot be used.
    """
    return _stream(list_archive(path, announce), f"images in {path}", announce)


def _stream(files: Listing, source: str, announce: Callable[[str], None]) -> StreamedDataset:
    names = files.names
    if len(names) > MANY:
        announce(f"Reading the headers of {len(names):,} images in {files.place}")
    spec, digest = _survey(files, announce)
    (labels, class_names), captions = _labels(names), ()
    if files.metadata is not None:
        captions = read_captions(files.metadata, files.place, [os.fsdecode(name) for name in names.tolist()])
        digest = sha256((digest + "\0".join(captions)).encode()).hexdigest()

    def read(index: int) -> dict[str, np.ndarray]:
        path = files.path(names[index])
        with _open(files, names[index]) as file:
            image = decode(file, path)
        if image.shape not in (spec, (*spec[:2], 1)):
            raise InputError(f"{path} has changed: it is {list(image.shape)}, and was {list(spec)} when it was listed.")
        example = {"image": np.broadcast_to(image, spec)}
        return example if labels is None else {**example, "label": labels[index]}

    fields: FieldTypes = {"image": (tuple(spec), np.dtype(np.uint8))}
    if labels is not None:
        fields["label"] = ((), labels.dtype)
    return StreamedDataset(read, len(names), fields, source, "all", digest, captions, class_names)


def _survey(files: Listing, announce: Callable[[str], None]) -> tuple[ImageSpec, str]:
    """The one size of all images, and the digest of the listing; announces channels of 16 bits."""
    names = files.names
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    digest, size, channels, deep = sha256(), _headers(files, names[:1])[0, :2], 1, []
    pool = ThreadPoolExecutor(THREADS)
    try:
        for chunk, headers in zip(chunks, pool.map(partial(_headers, files), chunks), strict=True):
            for name, header in zip(chunk.tolist(), headers, strict=True):
                if (header[:2] != size).any():
                    raise InputError(
                        f"Images of one size are expected: {files.path(names[0])} is {_size(size)} and "
                        f"{files.path(name)} is {_size(header)} (height x width)."
                    )
                digest.update(name + f"\0{header[4]}\n".encode())
            channels = max(channels, int(headers[:, 2].max()))
            deep += chunk[headers[:, 3] > 0].tolist()
    finally:
        pool.shutdown(cancel_futures=True)
    if deep:
        announce(f"16 bits per channel are scaled to 8 in {len(deep):,} of {len(names):,} images, as {shown(deep[0])}")
    spec = ImageSpec(int(size[0]), int(size[1]), channels)
    digest.update(str(tuple(spec)).encode())
    return spec, digest.hexdigest()


def _headers(files: Listing, names: np.ndarray) -> np.ndarray:
    """Height, width, channels, whether these have 16 bits, and bytes of the file [n, 5]."""
    headers = np.empty((len(names), 5), np.int64)
    for row, name in enumerate(names.tolist()):
        with _open(files, name) as file:
            headers[row] = *read_header(file, files.path(name)), file.seek(0, os.SEEK_END)
    return headers


def _open(files: Listing, name: bytes) -> BinaryIO:
    with refuse_damage(files.path(name), "an image"):
        return files.open(os.fsdecode(name))


def _labels(names: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The labels and the names of the classes, if every image is in a subfolder."""
    if not all(b"/" in name for name in names):
        return None, ()
    places = [name.partition(b"/")[0].decode(errors="backslashreplace") for name in names]
    class_names = tuple(sorted(set(places), key=natural_order))
    numbers = {place: number for number, place in enumerate(class_names)}
    return np.array([numbers[place] for place in places], np.int32), class_names


def _size(shape: tuple[int, ...] | np.ndarray) -> str:
    return f"{shape[0]} x {shape[1]}"
