"""Image files, in a folder or an archive, read with one size."""

from collections.abc import Callable
from hashlib import sha256
from itertools import compress
from pathlib import Path

import numpy as np
import PIL

from jaxgen.data.annotations import Annotations, annotations_of
from jaxgen.data.archives import list_archive, list_archives
from jaxgen.data.crops import random_crop
from jaxgen.data.dataset import Dataset, StreamedDataset, make_dataset
from jaxgen.data.image_file import SUFFIXES, decode, decode_with_header
from jaxgen.data.image_options import ImageOptions
from jaxgen.data.listing import Listing, has_images, list_folder
from jaxgen.data.survey import Survey, digest_of, fields_of, open_image, spec_of, state_of, survey
from jaxgen.data.threads import by_threads
from jaxgen.io.errors import InputError

READ_BY = 1
"""The version of how images are decoded and resized: cached arrays of another are not read."""


def list_files(path: Path, announce: Callable[[str], None], suffixes: tuple[str, ...] = SUFFIXES) -> Listing:
    """The image files, those with these `suffixes`, of a folder, of an archive, or of a folder of archives.

    Raises:
      InputError: there are none, or they cannot be listed.
    """
    if not path.is_dir():
        return list_archive(path, announce, suffixes)
    archives = None if has_images(path, suffixes) else list_archives(path, announce, suffixes)
    return archives or list_folder(path, announce, suffixes)


def stream_images(
    files: Listing,
    path: Path,
    announce: Callable[[str], None],
    options: ImageOptions,
    *,
    skipped: list[str] | None = None,
    crops: int = 0,
) -> StreamedDataset:
    """The images of a listing, in the order of their paths, or random `crops` of each; only the headers are read here.

    The result is grey if every image is, or the options say so, else RGB.  `skipped` gets a line for each image that is
    left out since its header cannot be read; None refuses them.

    Raises:
      InputError: an image cannot be read, several sizes without one in the options, or labels or captions that do not
        go with the images.
    """
    labels, class_names, captions = annotations_of(files, announce)
    headers, usable = survey(files, options, announce, skipped)
    files = files._replace(names=files.names[usable])
    names, labels, captions = files.names, None if labels is None else labels[usable], tuple(compress(captions, usable))
    spec = spec_of(files, headers, options, announce)
    digest = digest_of(files, headers, options, spec)
    if crops:
        digest = sha256(f"{digest} {crops} crops".encode()).hexdigest()
    if captions or labels is not None:
        described = b"" if labels is None else labels.tobytes() + "\0".join(class_names).encode()
        digest = sha256(digest.encode() + described + "\0".join(captions).encode()).hexdigest()

    each = max(crops, 1)

    def read(number: int) -> dict[str, np.ndarray]:
        index = number // each
        path = files.path(names[index])
        with open_image(files, names[index]) as file:
            image = decode(file, path, options._replace(size=None) if crops else options)
            state = state_of(file)
        image = random_crop(image, path, options, number) if crops else image
        before = headers.num_bytes[index], headers.changed[index]
        if state != before or image.shape not in (spec, (*spec[:2], 1)):
            raise InputError(f"{path} has changed since it was listed: start again with the folder as it is now.")
        example = {"image": np.broadcast_to(image, spec)}
        return example if labels is None else {**example, "label": labels[index]}

    fields, classes = {"image": (tuple(spec), np.dtype(np.uint8))}, None
    if labels is not None:
        fields["label"], classes = ((), labels.dtype), int(labels.max()) + 1
    captions, source = tuple(text for text in captions for _ in range(each)), f"images in {path}"
    return StreamedDataset(read, each * len(names), fields, source, "all", digest, captions, class_names, classes)


def load_images(files: Listing, path: Path, announce: Callable[[str], None], options: ImageOptions) -> Dataset:
    """The images of a listing, in memory, at the size of the options; each is opened once.

    Raises:
      InputError: as `stream_images`, or an image is damaged.
    """
    assert options.size is not None
    annotations = annotations_of(files, announce)
    images = np.empty((len(files.names), *options.size, 3), np.uint8)

    def read(index: int) -> tuple[int, ...]:
        with open_image(files, name := files.names[index]) as file:
            header, images[index] = decode_with_header(file, files.path(name), options)
            return fields_of(header, state_of(file))

    headers = Survey(*np.array(by_threads(read, range(len(images)), f"Reading {len(images):,} images")).T)
    spec = spec_of(files, headers, options, announce)
    return _dataset_of(path, images[..., : spec.channels], annotations)


def loaded_images(files: Listing, path: Path, images: np.ndarray, announce: Callable[[str], None]) -> Dataset:
    """The data set of a listing whose images uint8 [N, H, W, C] have been read before.

    Raises:
      InputError: the labels or the captions are damaged, or do not go with the images.
    """
    return _dataset_of(path, images, annotations_of(files, announce))


def cache_key(files: Listing, options: ImageOptions) -> str:
    """What the cached arrays are called: it depends on the files, and on how they are read."""
    read_by = f"{READ_BY} {PIL.__version__} {tuple(options)}"
    return sha256(f"{files.place} {files.stamp()} {read_by}".encode("utf-8", "surrogateescape")).hexdigest()


def _dataset_of(path: Path, images: np.ndarray, annotations: Annotations) -> Dataset:
    labels, class_names, captions = annotations
    source = f"images in {path}"
    return make_dataset(images, labels, captions=captions, class_names=class_names, source=source, split="all")
