"""The classes of a run: those of its data are those of its model, and every label is one of them."""

import dataclasses
from typing import Any

import numpy as np

from jaxgen.core.condition import Conditions, require_labels
from jaxgen.data import Dataset, StreamedDataset
from jaxgen.io.errors import InputError

MANY = 100
"""With more classes than these, each must have two images on average."""


def with_classes(config: Any, classes: int | None, source: str) -> Any:
    """The config with the number of classes of its data where its option --classes is None or auto.

    `source` names the data.

    Raises:
      InputError: the data do not say how many classes they have.
    """
    given = getattr(config, "classes", 0)
    if given not in (None, "auto"):
        return config
    if classes is None:
        what = "--classes auto" if given else "--classes is missing"
        raise InputError(f"{what}: {source} has no labels, or does not say how many classes there are.")
    return dataclasses.replace(config, classes=classes)


def require_classes(
    dataset: Dataset | StreamedDataset, conditions: Conditions, *, name: str, has_option: bool
) -> Dataset | StreamedDataset:
    """Refuses data, called `name`, of another number of classes than a model that is conditioned on labels.

    Labels of streamed data whose number of classes is not known are checked as they are read.  `has_option` says that
    --classes changes the model's number.

    Raises:
      InputError: naming both numbers.
    """
    classes = conditions["label"].classes if "label" in conditions else 0
    if not classes:
        return dataset
    if classes > MANY and dataset.size < 2 * classes:
        raise InputError(
            f"{name} has {dataset.size:,} images in {classes:,} classes: a class of one image cannot be learnt; put "
            "them into fewer folders, or train without labels."
        )
    if dataset.classes not in (None, classes):
        fix = f"give --classes {dataset.classes}" if has_option else f"condition it on labels({dataset.classes})"
        raise InputError(f"{name} has {dataset.classes} classes; the model has {classes}: {fix}.")
    return _checked(dataset, classes, name) if isinstance(dataset, StreamedDataset) else dataset


def _checked(dataset: StreamedDataset, classes: int, name: str) -> StreamedDataset:
    def read(index: int) -> dict[str, np.ndarray]:
        example = dataset.read(index)
        require_labels(np.atleast_1d(example["label"]), classes, f"the model's classes; example {index} of {name}")
        return example

    return dataclasses.replace(dataset, read=read)
