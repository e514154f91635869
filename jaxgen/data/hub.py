"""Data sets of Hugging Face's `datasets`: folders that it saved, and names on its hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgen.data.parquet import IMAGE, LABEL, TEXT
from jaxgen.io.errors import InputError, first_line, package

HUB = "hub:"
"""What the name of a data set on the hub begins with."""
PURPOSE = "reads data sets of Hugging Face"


class HubExamples:
    """The examples of a data set of `datasets` by index, with the names of fields that jaxgen knows.

    Raises:
      InputError: it has no column of images.
    """

    def __init__(self, dataset: Any, source: str):
        self._dataset = dataset
        names = {
            field: next((name for name in known if name in dataset.column_names), "")
            for field, known in (("image", IMAGE), ("label", LABEL), ("text", TEXT))
        }
        if not names["image"]:
            there = ", ".join(dataset.column_names)
            raise InputError(f"{source} has the columns {there}; expected images in one of {', '.join(IMAGE)}.")
        self._names = {field: name for field, name in names.items() if name}
        self.features = {field: dataset.features[name] for field, name in self._names.items()}

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        example = self._dataset[index]
        return {field: example[name] for field, name in self._names.items()}

    @property
    def captions(self) -> tuple[str, ...]:
        """The captions of all examples, or nothing if there are none."""
        return tuple(self._dataset[self._names["text"]]) if "text" in self._names else ()


def is_saved(path: Path) -> bool:
    """Whether `datasets` saved a folder."""
    files = ("state.json", "dataset_info.json")
    return (path / "dataset_dict.json").is_file() or all((path / name).is_file() for name in files)


def open_saved(path: Path, split: str) -> HubExamples:
    """The split of a data set that `datasets` saved.

    Raises:
      InputError: it is damaged, or has no such split.
      OutsideError: the package is not installed.
    """
    datasets = package("datasets", PURPOSE)
    try:
        return _split_of(datasets.load_from_disk(str(path)), split, str(path))
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a saved data set: {first_line(error)}") from error


def open_hub(name: str, split: str, *, offline: bool) -> HubExamples:
    """The split of a data set on the hub, which is downloaded.

    Raises:
      InputError: it is not there, or has no such split.
      OutsideError: the package is not installed.
    """
    if offline:
        raise InputError(f"{HUB}{name} is on the network: leave out --offline, or give a folder.")
    datasets = package("datasets", PURPOSE)
    try:
        return _split_of(datasets.load_dataset(name), split, HUB + name)
    except Exception as error:  # of whatever kind: the hub, the network and each format have their own
        if isinstance(error, InputError):
            raise
        raise InputError(f"{HUB}{name} cannot be read: {first_line(error)}") from error


def _split_of(data: Any, split: str, source: str) -> HubExamples:
    if isinstance(data, Mapping):
        if split not in data:
            raise InputError(f"{source} has no {split} split; it has {', '.join(data)}.")
        data = data[split]
    return HubExamples(data, source)
