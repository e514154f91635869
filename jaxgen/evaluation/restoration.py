"""Restoration of held-out images by an image-to-image network, compared with baselines.

<run>/held_out.png   rows of inputs, restored images and the truth
<run>/held_out.json  MSE, PSNR and SSIM of each method on the same inputs, its Fréchet distance to the truth in the
                     features of a packaged classifier, and for colour images colourfulness

Errors and the Fréchet distance are at odds: the mean of all plausible images has the least error, one drawn from among
them the least distance.  Blau and Michaeli (2018), https://arxiv.org/abs/1711.06077.
"""

from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import ImageSpec, to_float, to_uint8
from jaxgen.core.sampler import image_keys
from jaxgen.core.types import Array
from jaxgen.evaluation.classifiers import packaged_network
from jaxgen.evaluation.colour import colourfulness
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.frechet import FRECHET, frechet_distance
from jaxgen.evaluation.reconstruction import MEANINGS, compare_pairs
from jaxgen.evaluation.results import write_results
from jaxgen.io.pictures import save_grid
from jaxgen.models.image_to_image.tasks import Task

ROWS, COLUMNS = 3, 12
"""The picture has ROWS times three rows of COLUMNS images."""

COLOUR, DISTANCE = "colourfulness", "Fréchet distance"


def degraded(task: Task, images: np.ndarray, seed: int) -> Array:
    """Degrades images uint8 [N, H, W, C] as an exported sampler of the task does with this seed."""
    keys = image_keys(jnp.uint32(seed), jnp.arange(len(images), dtype=jnp.int32))
    return task.degrade(keys, to_float(jnp.asarray(images)))


def report_restoration(
    directory: Path, inputs: Array, restored: Mapping[str, Array | np.ndarray], truth: np.ndarray
) -> None:
    """Measures restored images, writes both files and prints a table.

    `restored` maps the name of a method, the network's first, to images uint8 [N, H, W, C]; `inputs` are the task's.

    Raises:
      InputError: images that cannot be compared.
      OSError: a file cannot be written.
    """
    distances = measure_distances(restored, truth)
    results = {name: measured(np.asarray(images), truth) | distances[name] for name, images in restored.items()}
    if colour := measure_colour(truth):
        results["truth"] = colour
    rows = comparison(inputs, np.asarray(next(iter(restored.values()))), truth)
    save_grid(directory / "held_out.png", rows, columns=COLUMNS)
    write_results(
        directory / "held_out.json",
        results,
        title=f"{len(truth):,} held-out images",
        meanings={**MEANINGS, DISTANCE: FRECHET.meanings[DISTANCE], COLOUR: "0 for grey, best as in the truth"},
        details={"images": len(truth)},
    )


def measured(images: np.ndarray, truth: np.ndarray) -> dict[str, Estimate]:
    """MSE, PSNR and SSIM of images uint8 [N, H, W, C] against the truth and, for colour images, colourfulness."""
    return {**compare_pairs(images, truth)._asdict(), **measure_colour(images)}


def measure_distances(restored: Mapping[str, Array | np.ndarray], truth: np.ndarray) -> dict[str, dict[str, Estimate]]:
    """The Fréchet distance of each method's images to the truth; no entry if there are no more images than features."""
    extract = packaged_network(ImageSpec(*truth.shape[1:])).extract
    real = extract(truth).features
    if len(real) <= real.shape[1]:
        return {name: {} for name in restored}
    made = {name: extract(np.asarray(images)).features for name, images in restored.items()}
    return {name: {DISTANCE: Estimate(frechet_distance(features, real))} for name, features in made.items()}


def measure_colour(images: np.ndarray) -> dict[str, Estimate]:
    """The mean colourfulness of colour images uint8 [N, H, W, 3]; nothing of grey ones."""
    return {COLOUR: mean_of(colourfulness(images))} if images.shape[-1] == 3 else {}


def comparison(inputs: Array, restored: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Rows of inputs, restored images and the truth, as images uint8 [N, H, W, C] for a grid of COLUMNS columns."""
    channels, count = truth.shape[-1], ROWS * COLUMNS
    shown = to_uint8(jnp.broadcast_to(inputs[:count, ..., :channels], truth[:count].shape))
    rows = np.stack([shown, restored[:count], truth[:count]])
    return np.concatenate([rows[:, at : at + COLUMNS].reshape(-1, *truth.shape[1:]) for at in range(0, count, COLUMNS)])
