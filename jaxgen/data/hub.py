"""Data sets of Hugging Face's `datasets`: folders that it saved, and names on its hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgen.data.parquet import columns_of
from jaxgen.io.errors import InputError, package, refuse_damage

HUB = "hub:"
"""What the name of a data set on the hub begins with."""
PURPOSE = "reads data sets of Hugging Face"


class HubExamples:
    """The examples of a data set of `datasets` by index, with the names of fields that jaxgen knows.

    Raises:
      InputError: it has no column of images.
    """

    def __init__(self, dataset: Any, source: str):
        self._source, self._names = source, columns_of(dataset.column_names, source)
        self.features = {field: dataset.features[name] for field, name in self._names.items()}
        is_encoded = hasattr(self.features["image"], "decode")
        # The bytes of an image tell more than what `datasets` makes of them: 16 bits per channel, for one.
        encoded = package("datasets", PURPOSE).Image(decode=False)
        self._dataset = dataset.cast_column(self._names["image"], encoded) if is_encoded else dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        with refuse_damage(self.where(index), "an example"):
            row = self._dataset[index]
            example = {field: row[name] for field, name in self._names.items()}
            if isinstance(image := example["image"], Mapping):
                content = image["bytes"]
                example["image"] = Path(image["path"]).read_bytes() if content is None and image["path"] else content
            return example

    def where(self, index: int) -> str:
        """The place of an example, for errors."""
        return f"row {index} of {self._source}"

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
    with refuse_damage(path, "a saved data set"):
        return _split_of(datasets.load_from_disk(str(path)), split, str(path))


def open_hub(name: str, split: str, *, offline: bool) -> HubExamples:
    """The split of a data set on the hub, which is downloaded.

    Raises:
      InputError: it is not there, or has no such split.
      OutsideError: the package is not installed.
    """
    if offline:
        raise InputError(f"{HUB}{name} is on the network: leave out --offline, or give a folder.")
    datasets = package("datasets", PURPOSE)
    with refuse_damage(f"{HUB}{name}", "a data set on the hub"):
        return _split_of(datasets.load_dataset(name), split, HUB + name)


def _split_of(data: Any, split: str, source: str) -> HubExamples:
    if isinstance(data, Mapping):
        if split not in data:
            raise InputError(f"{source} has no {split} split; it has {', '.join(data)}.")
        data = data[split]
    return HubExamples(data, source)
