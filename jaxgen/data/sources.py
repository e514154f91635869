"""Where a data set comes from.

`mnist` and `fashion_mnist`: prepared TFDS, the four IDX files, a download or, for `mnist`, the embedded digits,
whichever is found first.  `cifar10`: prepared TFDS.  `binarized_mnist`: its files.  Anything else is a path.  Clips are
read where `frames` are asked for: `moving_mnist`, drawn from the digits of `mnist`, or a path.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, overload

from jaxgen.data.binarized import ARCHIVE, SOURCE, find_binarized, read_binarized
from jaxgen.data.class_names import CLASS_NAMES
from jaxgen.data.clips import stream_clips
from jaxgen.data.dataset import Dataset, StreamedDataset, as_streamed, in_memory, read_arrays
from jaxgen.data.digits import read_digits
from jaxgen.data.hub import HUB, open_hub
from jaxgen.data.image_options import AS_STORED, ImageOptions
from jaxgen.data.mnist_files import download_files, find_files, read_files
from jaxgen.data.moving_mnist import SIZE, stream_moving_mnist
from jaxgen.data.paths import EXPECTED, is_data, is_listed, load_path, stream_path
from jaxgen.data.prepared import default_folders, find_prepared, read_prepared, stream_prepared
from jaxgen.data.random_access import as_dataset
from jaxgen.data.resize import resized
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath, cache_folder, expanded
from jaxgen.io.terminal import say

MOVING_MNIST = "moving_mnist"
BINARIZED_SIZE = (28, 28)
NAMES = ("mnist", "fashion_mnist", "cifar10", "binarized_mnist")
SPLITS = ("train", "validation", "test")
Announce = Callable[[str], None]
AnyDataset = TypeVar("AnyDataset", Dataset, StreamedDataset, Dataset | StreamedDataset)


@overload
def load(
    name: str,
    *,
    split: str = ...,
    data_dir: AnyPath | None = ...,
    offline: bool = ...,
    announce: Announce = ...,
    most_bytes: None = ...,
    option: str = ...,
    images: ImageOptions = ...,
    frames: int | None = ...,
    drop_short: bool = ...,
) -> Dataset: ...


@overload
def load(
    name: str,
    *,
    split: str = ...,
    data_dir: AnyPath | None = ...,
    offline: bool = ...,
    announce: Announce = ...,
    most_bytes: int | None,
    option: str = ...,
    images: ImageOptions = ...,
    frames: int | None = ...,
    drop_short: bool = ...,
) -> Dataset | StreamedDataset: ...


def load(
    name: str,
    *,
    split: str = "train",
    data_dir: AnyPath | None = None,
    offline: bool = False,
    announce: Announce = say,
    most_bytes: int | None = None,
    option: str = "--data",
    images: ImageOptions = AS_STORED,
    frames: int | None = None,
    drop_short: bool = False,
) -> Dataset | StreamedDataset:
    """The split ('train', 'test', perhaps 'validation') of a data set by name, or a folder or an archive by path.

    A path has no splits: all its images are read, whatever `split` is, except where an `.npz` has those of several.

    `data_dir` names the one folder to look in; without it TFDS's default folder, the cache and the network are tried.
    `announce` gets a line where reading takes long, or falls back on other data.  What would take more than
    `most_bytes` is read one example at a time instead of into memory, if it is a folder or an archive of images or
    clips, shards, a prepared set or `moving_mnist`; by default, nothing is.
    `option` is the option of the command line that gave the name, which error messages cite.  `images` says which size
    and colours the images are brought to.  With `frames` the data are clips of as many frames, `clip` uint8
    [N, T, H, W, C], of `moving_mnist` or of animations, videos or folders of frames at a path (`load_clips`,
    which leaves out shorter ones with `drop_short`).

    Raises:
      InputError: the name is unknown, or the data are missing or damaged, or are clips where images are expected, or
        the other way round.
    """
    images.check()
    if split not in SPLITS:
        raise InputError(f"The split {split!r} is unknown: expected {', '.join(SPLITS)}.")
    if data_dir is not None and name not in (*NAMES, MOVING_MNIST):
        names = ", ".join((*NAMES, MOVING_MNIST))
        raise InputError(f"--data-dir {data_dir} goes with {names}; {option} {name} is a path of its own.")
    if drop_short and (frames is None or name == MOVING_MNIST):
        raise InputError(f"--drop-short goes with --frames and clips at a path; {option} {name} is not such.")
    if frames is not None:
        digits = partial(load, "mnist", split=split, data_dir=data_dir, offline=offline, announce=announce)
        clips = _clips(name, digits, frames, drop_short=drop_short, announce=announce, option=option, images=images)
        if most_bytes is None or clips.num_bytes <= most_bytes:
            return in_memory(clips, read_arrays(clips))
        announce(f"{clips.size:,} clips of {clips.num_bytes / 1e9:,.1f} GB are not kept in memory")
        return clips
    if name == MOVING_MNIST:
        raise InputError(f"{option} {name} holds clips, not images: expected {', '.join(NAMES)}, {EXPECTED}.")
    if name not in NAMES:
        return _from_path(name, split, announce=announce, most_bytes=most_bytes, option=option, images=images)
    places = _places(data_dir)
    if name == "binarized_mnist":
        return resized(_from_binarized(split, places, images), images)
    if split == "validation":
        raise InputError(f"{name} has no validation split: expected train or test.")
    for place in places:
        if prepared := find_prepared(place, name):
            read = _from_prepared(name, split, prepared, announce=announce, most_bytes=most_bytes, images=images)
            return _with_names(name, read)
    if name == "cifar10":
        raise InputError(
            f"cifar10 is not prepared in {places[0]}: give --data-dir, or prepare it with TFDS as array_record."
        )
    files = _from_files(name, split, places, data_dir, offline=offline, announce=announce)
    return _with_names(name, resized(files, images))


def _clips(
    name: str,
    digits: Callable[[], Dataset],
    frames: int,
    *,
    drop_short: bool,
    announce: Announce,
    option: str,
    images: ImageOptions,
) -> StreamedDataset:
    if name == MOVING_MNIST:
        return stream_moving_mnist(digits(), frames=frames, size=images.size or SIZE)
    path = expanded(name)
    if name in NAMES or not is_listed(path):
        raise InputError(
            f"{option} {name} holds no clips: expected {MOVING_MNIST}, or a folder or an archive of animated GIF, WEBP "
            "or PNG files, of videos, or of folders of frames."
        )
    return stream_clips(path, frames=frames, drop_short=drop_short, images=images, announce=announce)


def stream(
    name: str,
    *,
    split: str = "train",
    data_dir: AnyPath | None = None,
    offline: bool = False,
    announce: Announce = say,
    images: ImageOptions = AS_STORED,
    skipped: list[str] | None = None,
    crops: int = 0,
) -> StreamedDataset:
    """A data set as `load` finds it, or hub:<owner>/<name> of Hugging Face, read one example at a time and in order.

    `skipped` gets a line for each image file that is left out since it cannot be read; None refuses them.  With `crops`
    the examples are as many random crops of each image file, each at the size of `images`.

    Raises:
      InputError: as `load`.
    """
    images.check()
    if crops and images.size is None:
        raise InputError(f"--crops {crops}: give --size, the size of a crop.")
    if crops and (name in NAMES or name.startswith(HUB)):
        raise InputError(f"--crops {crops}: {name} is no folder of image files.")
    if name.startswith(HUB):
        examples = open_hub(name.removeprefix(HUB), split, offline=offline)
        return as_dataset(examples, most_bytes=0, images=images, skip_damaged=skipped is not None)
    if name not in NAMES and data_dir is None and is_data(path := expanded(name)):
        return stream_path(path, split, announce=announce, images=images, skipped=skipped, crops=crops)
    data = load(
        name,
        split=split,
        data_dir=data_dir,
        offline=offline,
        announce=announce,
        most_bytes=0,
        option="source",
        images=images,
    )
    return data if isinstance(data, StreamedDataset) else as_streamed(data)


def _with_names(name: str, dataset: AnyDataset) -> AnyDataset:
    return replace(dataset, class_names=CLASS_NAMES[name]) if "label" in dataset.fields else dataset


def _from_files(
    name: str, split: str, places: list[Path], data_dir: AnyPath | None, *, offline: bool, announce: Announce
) -> Dataset:
    for place in places:
        if files := find_files(place, name, split):
            return read_files(name, split, files)
    if data_dir is not None:
        raise InputError(
            f"--data-dir {data_dir} holds neither {name}/<version>/*.array_record nor the IDX files ({split})."
        )
    if not offline and (files := download_files(name, split, announce)):
        return read_files(name, split, files)
    if name == "mnist" and split == "train":
        announce("Full MNIST was not found: using 5,000 embedded digits. For all 60,000 give --data-dir")
        return read_digits()
    raise InputError(
        f"{name} ({split}) was not found in {' or '.join(map(str, places))}: give --data-dir, or go online."
    )


def _places(data_dir: AnyPath | None) -> list[Path]:
    if data_dir is None:
        return [*default_folders(), cache_folder()]
    folder = expanded(data_dir)
    if not folder.is_dir():
        raise InputError(f"--data-dir {folder} is not a folder.")
    return [folder]


def _from_binarized(split: str, places: list[Path], images: ImageOptions) -> Dataset:
    if images.size not in (None, BINARIZED_SIZE):
        size = "x".join(map(str, images.size))
        raise InputError(f"--size {size}: binarized_mnist at another size than 28x28 would no longer be binary.")
    for place in places:
        if file := find_binarized(place, split):
            return read_binarized(file, split)
    raise InputError(
        f"binarized_mnist ({split}) was not found in {' or '.join(map(str, places))}: give --data-dir, a folder with "
        f"{ARCHIVE} or with Larochelle's .amat files ({SOURCE})."
    )


def _from_prepared(
    name: str, split: str, folder: Path, *, announce: Announce, most_bytes: int | None, images: ImageOptions
) -> Dataset | StreamedDataset:
    if most_bytes is not None:
        streamed = resized(stream_prepared(name, split, folder), images)
        if streamed.num_bytes > most_bytes:
            announce(f"{streamed.size:,} images of {streamed.num_bytes / 1e9:,.1f} GB are streamed from disk")
            return streamed
    return resized(read_prepared(name, split, folder, announce), images)


def _from_path(
    name: str, split: str, *, announce: Announce, most_bytes: int | None, option: str, images: ImageOptions
) -> Dataset | StreamedDataset:
    path = expanded(name)
    if is_data(path):
        return load_path(path, split, announce=announce, most_bytes=most_bytes, images=images)
    if path.exists():
        raise InputError(f"{option} {name} is not {EXPECTED}.")
    if name.startswith(HUB):
        raise InputError(f"{option} {name}: pack it first, with python -m jaxgen pack {name} --out <folder>.")
    raise InputError(f"{option} {name} is unknown: expected {', '.join(NAMES)}, {EXPECTED}.")
