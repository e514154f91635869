"""What a run draws: sample grids on the way, and the recipe's further pictures at the end."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.condition import Conditions
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Networks
from jaxgen.data import Dataset, StreamedDataset, batch_indices
from jaxgen.data.dataset import pixel_field
from jaxgen.export import seeded
from jaxgen.io.pictures import save_grid
from jaxgen.training.processes import Host
from jaxgen.training.recipe import Recipe
from jaxgen.training.watchdog import DIVERSITY, diversity

GRID = 64
"""Images of a sample grid."""

GridDrawer = Callable[[Path, Networks], dict[str, float]]
"""Writes the sample grid of networks as PNG; returns the metrics of its images."""


def grid_drawer(recipe: Recipe, dataset: Dataset | StreamedDataset, seed: int, host: Host) -> GridDrawer:
    """A function that draws sample grids and measures the diversity of their images.

    The first process draws; all must call it.
    """
    fields, columns = grid_fields(recipe.sampler.conditions, dataset, GRID, seed)
    num = len(next(iter(fields.values()))) if fields else GRID
    draw = drawer(recipe.sampler, seed)
    # Among fewer real images than drawn ones, the nearest neighbours would be further away.
    is_comparable = host.is_first and dataset.size >= num
    real = diversity(some_examples(dataset, num, seed)[pixel_field(dataset.fields)]) if is_comparable else 0.0

    def draw_grid(path: Path, networks: Networks) -> dict[str, float]:
        ratio = np.float32(np.nan)
        if host.is_first:
            images = np.asarray(draw(networks, np.arange(num, dtype=np.int32), fields))
            save_grid(path, images, columns=columns)
            ratio = np.float32(diversity(images) / real if real else np.nan)
        ratio = float(host.share(ratio))
        return {} if math.isnan(ratio) else {DIVERSITY: round(ratio, 4)}

    return draw_grid


def drawer(sampler: Sampler, seed: int) -> Callable[[Networks, np.ndarray, Mapping[str, np.ndarray]], Array]:
    """The compiled function (networks, index int32 [B], fields [B, ...]) -> images uint8 [B, H, W, C] of a seed."""
    return jax.jit(lambda networks, index, fields: seeded(sampler, networks)(jnp.uint32(seed), index, fields))


def grid_fields(
    conditions: Conditions, dataset: Dataset | StreamedDataset, num: int, seed: int
) -> tuple[dict[str, np.ndarray], int]:
    """The fields of a grid of about `num` images, [N, ...] by name, and the number of its columns.

    Each label has a row, as long as there is room; the columns then differ in the other conditions, which are those of
    some examples.
    """
    label = next((name for name, condition in conditions.items() if condition.classes), None)
    if label is None:
        examples = some_examples(dataset, num, seed) if conditions else {}
        return {name: examples[name] for name in conditions}, math.ceil(math.sqrt(num))
    classes = conditions[label].classes
    columns, rows = math.ceil(num / classes), min(classes, num)
    fields = {label: np.arange(rows, dtype=np.int32).repeat(columns)}
    if others := [name for name in conditions if name != label]:
        examples = some_examples(dataset, columns, seed)
        fields |= {name: np.concatenate([examples[name]] * rows) for name in others}
    return fields, columns


def save_pictures(
    folder: Path, recipe: Recipe, networks: Networks, dataset: Dataset | StreamedDataset, seed: int
) -> None:
    """Writes the recipe's further pictures, `<name>.png`, if it has any."""
    if recipe.pictures is None:
        return
    examples = some_examples(dataset, min(GRID, dataset.size), seed)
    for name, images in jax.jit(recipe.pictures)(networks, examples).items():
        rows = np.asarray(images)
        save_grid(folder / f"{name}.png", rows.reshape(-1, *rows.shape[2:]), columns=rows.shape[1])


def some_examples(dataset: Dataset | StreamedDataset, num: int, seed: int) -> dict[str, np.ndarray]:
    """A batch of `num` examples of a data set, chosen at random."""
    chosen = batch_indices(seed, 0, num, dataset.size)
    if isinstance(dataset, StreamedDataset):
        examples = [dataset.read(int(index)) for index in chosen]
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}
    return {name: array[chosen] for name, array in dataset.arrays.items()}
