"""How a network from image to image does on images that it has not seen, beside what is made without it.

<run>/held_out.png   rows of inputs, of what the network made of them, and of the truth
<run>/held_out.json  MSE, PSNR, SSIM and, of images in colour, colourfulness, for each way of making images of the same
                     inputs
"""

import json
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxgen.core.image import to_float, to_uint8
from jaxgen.core.types import Array
from jaxgen.evaluation import Estimate, colourfulness, compare_pairs, mean_of
from jaxgen.io.files import write_whole
from jaxgen.io.pictures import save_grid
from jaxgen.models import Task
from jaxgen.models.latents.controls import image_keys

ROWS, COLUMNS = 3, 12
"""Of a picture: so many times three rows."""
TOLD = {"psnr": ("PSNR (dB)", ".2f"), "ssim": ("SSIM", ".4f"), "colourfulness": ("colourfulness", ".2f")}
"""The title of each column of the table, and how its numbers are written."""


def degraded(task: Task, images: np.ndarray, seed: int) -> Array:
    """The inputs that an exported sampler of the task makes of images uint8 [N, H, W, C] at a seed."""
    keys = image_keys(jnp.uint32(seed), jnp.arange(len(images), dtype=jnp.int32))
    return task.degrade(keys, to_float(jnp.asarray(images)))


def report_restoration(
    directory: Path, inputs: Array, made: Mapping[str, Array | np.ndarray], truth: np.ndarray
) -> None:
    """Prints the table and writes both files.

    `made` are images uint8 [N, H, W, C] by the name of what made them, those of the network first; `inputs` are the
    task's.

    Raises:
      InputError: images that cannot be compared.
      OutsideError: the machine would not write.
    """
    measures = {name: measured(np.asarray(images), truth) for name, images in made.items()}
    if truth.shape[-1] == 3:
        measures["truth"] = {"colourfulness": mean_of(colourfulness(truth))}
    columns = {key: told for key, told in TOLD.items() if any(key in of for of in measures.values())}
    table = Table(f"{len(truth):,} held-out images", *(title for title, _ in columns.values()))
    for name, of in measures.items():
        table.add_row(name, *(format(of[key], form) if key in of else "" for key, (_, form) in columns.items()))
    Console().print(table)
    told = {name: {key: estimate._asdict() for key, estimate in of.items()} for name, of in measures.items()}
    write_whole(directory / "held_out.json", json.dumps({"images": len(truth), **told}, indent=2) + "\n")
    rows = comparison(inputs, np.asarray(next(iter(made.values()))), truth)
    save_grid(directory / "held_out.png", rows, columns=COLUMNS)


def measured(images: np.ndarray, truth: np.ndarray) -> dict[str, Estimate]:
    """How near images uint8 [N, H, W, C] are to the truth and, in colour, how colourful."""
    colours = {"colourfulness": mean_of(colourfulness(images))} if truth.shape[-1] == 3 else {}
    return {**compare_pairs(images, truth)._asdict(), **colours}


def comparison(inputs: Array, made: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Rows of inputs, of what was made of them, and of the truth, as images uint8 [N, H, W, C] one after another."""
    channels, count = truth.shape[-1], ROWS * COLUMNS
    shown = to_uint8(jnp.broadcast_to(inputs[:count, ..., :channels], truth[:count].shape))
    rows = np.stack([shown, made[:count], truth[:count]])
    return np.concatenate([rows[:, at : at + COLUMNS].reshape(-1, *truth.shape[1:]) for at in range(0, count, COLUMNS)])
