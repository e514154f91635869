"""The record of a run, and the data that it was trained on, found again from any working directory."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from jaxgen.cli.image_sets import DataOptions
from jaxgen.data.dataset import Dataset, StreamedDataset, sample_of
from jaxgen.data.image_options import ImageOptions, image_options
from jaxgen.data.sources import NAMES, load
from jaxgen.io.errors import InputError
from jaxgen.io.files import expanded
from jaxgen.io.terminal import say
from jaxgen.training.run_directory import RunDirectory


def read_record(run: Path) -> Mapping[str, Any]:
    """The `config.json` of a run, also from its best/; empty if there is none."""
    folders = [folder for folder in (run, run.resolve().parent) if (folder / "config.json").is_file()]
    return RunDirectory(folders[0]).earlier() or {} if folders else {}


def images_of(run: Path) -> ImageOptions:
    """The size and the colours that the images of a run's data are brought to."""
    return image_options(read_record(run).get("config", {}))


def places_of(record: Mapping[str, Any], option: str) -> list[Path]:
    """Where an option that is a path may lead: as it was typed, then from where it was typed."""
    places = record["config"][option], record.get("places", {}).get(option)
    return list(dict.fromkeys(expanded(place) for place in places if place))


def data_of(record: Mapping[str, Any]) -> str | None:
    """The value of `--data` that names a run's data set now; None if it came from Python, or there is no record."""
    typed = record.get("config", {}).get("data")
    if typed is None or typed in NAMES:
        return typed
    return str(next((place for place in places_of(record, "data") if place.exists()), typed))


def read_trained_on(run: str, record: Mapping[str, Any], options: DataOptions) -> Dataset | None:
    """The data set that a run was trained on, if that is a path; the same images, wherever they are found.

    A run that an earlier version recorded has no digest to compare with: what is found first is read.  Of data that the
    run streamed there is a random sample, of the size that the run would have held in memory.

    Raises:
      InputError: it is in none of its places, or cannot be read, or has changed.
    """
    typed = record.get("config", {}).get("data")
    if typed is None or typed in NAMES:
        return None
    there = [place for place in places_of(record, "data") if place.exists()]
    if not there:
        tried = " or ".join(map(str, places_of(record, "data")))
        raise InputError(f"{run} was trained on {typed}, and there is no {tried}: give --data, where the images are.")
    failure = None
    for place in there:
        try:
            if (dataset := _read_if_same(place, record, options)) is not None:
                return dataset
        except InputError as error:
            failure = failure or error
    raise failure or InputError(
        f"{run} was trained on other images than {there[0]} holds now: to compare with these, give --data {there[0]}."
    )


def _read_if_same(place: Path, record: Mapping[str, Any], options: DataOptions) -> Dataset | None:
    """The data set at a path, None if its digest is not the recorded one; that of streamed data is of the listing."""
    data = record["data"]
    digest, is_streamed = data.get("digest_as_read"), data.get("is_streamed", False)
    most_bytes = 0 if is_streamed else None
    dataset = load(str(place), offline=options.offline, announce=say, most_bytes=most_bytes, images=options.images)
    if digest is not None and dataset.digest != digest:
        return None
    return _sample(dataset, record["config"]) if isinstance(dataset, StreamedDataset) else dataset


def _sample(dataset: StreamedDataset, config: Mapping[str, Any]) -> Dataset:
    """A random sample of streamed data that fits into the memory of --memory-gib, or the run's batch if none does."""
    fitting = int(config["memory_gib"] * 2**30) // prod(dataset.spec)
    num = min(dataset.size, max(fitting, config["batch_size"]))
    if num < dataset.size:
        say(f"{num:,} random images stand for the {dataset.size:,} that the run streamed from disk")
    return sample_of(dataset, num, seed=0)
