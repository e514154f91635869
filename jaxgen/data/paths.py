"""The data set at a path: arrays, images in a folder or an archive, packed shards, Parquet, what `datasets` saved."""

from collections.abc import Callable
from math import prod
from pathlib import Path

from jaxgen.data.archives import ARCHIVES
from jaxgen.data.arrays import ARRAYS, read_archive
from jaxgen.data.dataset import Dataset, StreamedDataset, as_streamed, in_memory, read_arrays
from jaxgen.data.folder import cache_key, list_files, load_images, loaded_images, stream_images
from jaxgen.data.hub import is_saved, open_saved
from jaxgen.data.image_cache import cache_arrays, cached_arrays
from jaxgen.data.image_options import ImageOptions
from jaxgen.data.listing import has_images
from jaxgen.data.parquet import SUFFIX, ParquetExamples, find_parquet, parquet_files
from jaxgen.data.random_access import RandomAccess, as_dataset
from jaxgen.data.resize import resized
from jaxgen.data.shards import is_packed, stream_shards
from jaxgen.io.errors import InputError

Announce = Callable[[str], None]
EXPECTED = f"a folder of images, or an {', '.join((*ARRAYS, *ARCHIVES))} or {SUFFIX}"
"""What a path may be."""


def load_path(
    path: Path, split: str, *, announce: Announce, most_bytes: int | None, images: ImageOptions
) -> Dataset | StreamedDataset:
    """The data set at a path; streamed from disk if its images would take more than `most_bytes`.

    Raises:
      InputError: the data are damaged, or have no such split, or are too large and cannot be read at random.
    """
    if is_arrays(path):
        return resized(read_archive(path, split, announce), images)
    if is_packed(path):
        packed = resized(stream_shards(path), images)
        return _read_or_streamed(packed, packed.digest, announce, most_bytes)
    if (examples := _examples(path, split)) is not None:
        return _read_in_order(examples, path, images, most_bytes)
    files = list_files(path, announce)
    key = cache_key(files, images)
    if arrays := cached_arrays(key, most_bytes):
        return loaded_images(files, path, arrays["image"], announce)
    num_bytes = len(files.names) * prod(images.size or (0,)) * 3
    if images.size is not None and (most_bytes is None or num_bytes <= most_bytes):
        dataset = load_images(files, path, announce, images)
        cache_arrays(key, {"image": dataset.arrays["image"]})
        return dataset
    return _read_or_streamed(stream_images(files, path, announce, images), key, announce, most_bytes)


def stream_path(
    path: Path, split: str, *, announce: Announce, images: ImageOptions, skipped: list[str] | None, crops: int
) -> StreamedDataset:
    """The data set at a path, or random `crops` of each of its images, read one example at a time.

    `skipped` gets a line for each image file that is left out since it cannot be read; None refuses them.

    Raises:
      InputError: as `load_path`, or crops of what is no folder or archive of image files.
    """
    if crops and not is_listed(path):
        raise InputError(f"--crops {crops}: {path} is no folder of image files, nor an archive of one.")
    if is_arrays(path):
        return as_streamed(resized(read_archive(path, split, announce), images))
    if is_packed(path):
        return resized(stream_shards(path), images)
    if (examples := _examples(path, split)) is not None:
        return as_dataset(examples, most_bytes=0, images=images, skip_damaged=skipped is not None)
    return stream_images(list_files(path, announce), path, announce, images, skipped=skipped, crops=crops)


def is_listed(path: Path) -> bool:
    """Whether a path is a folder or an archive of image files, or a folder of such archives."""
    if path.is_dir():
        return not is_packed(path) and (has_images(path) or not (is_saved(path) or parquet_files(path)))
    return path.is_file() and path.name.lower().endswith(ARCHIVES)


def is_arrays(path: Path) -> bool:
    """Whether a path is a file of arrays."""
    return path.is_file() and path.name.lower().endswith(ARRAYS)


def is_data(path: Path) -> bool:
    """Whether a path may hold a data set."""
    return path.is_dir() or (path.is_file() and path.name.lower().endswith((*ARRAYS, *ARCHIVES, SUFFIX)))


def _read_or_streamed(
    streamed: StreamedDataset, key: str, announce: Announce, most_bytes: int | None
) -> Dataset | StreamedDataset:
    """The data set in memory, from the cache if it is there; streamed if it is too large."""
    if most_bytes is not None and streamed.num_bytes > most_bytes:
        announce(f"{streamed.size:,} images of {streamed.num_bytes / 1e9:,.1f} GB are streamed from disk")
        return streamed
    arrays = cached_arrays(key, most_bytes)
    if arrays is None:
        arrays = read_arrays(streamed)
        cache_arrays(key, arrays)
    return in_memory(streamed, arrays)


def _read_in_order(
    examples: RandomAccess, path: Path, images: ImageOptions, most_bytes: int | None
) -> Dataset | StreamedDataset:
    """Examples that cannot be read at random, all in memory.

    Raises:
      InputError: they would take more than `most_bytes`.
    """
    dataset = as_dataset(examples, most_bytes=most_bytes, images=images)
    if isinstance(dataset, StreamedDataset):
        raise InputError(
            f"{path} holds {dataset.size:,} images of {dataset.num_bytes / 1e9:,.1f} GB, and cannot be read at random: "
            f"pack it first, with python -m jaxgen pack {path} --out <folder>."
        )
    return dataset


def _examples(path: Path, split: str) -> RandomAccess | None:
    """The examples of Parquet files or of a folder that `datasets` saved; None if the path holds neither."""
    if path.is_dir() and has_images(path):
        return None
    if is_saved(path):
        return open_saved(path, split)
    files = find_parquet(path, split)
    return ParquetExamples(files) if files else None
