"""Panoramas by an exported denoiser: one picture, larger than the images of the run, which wraps around."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import ImageSpec
from jaxgen.core.map_rows import map_rows, rows_per_device
from jaxgen.core.sampler import image_keys
from jaxgen.core.types import Array
from jaxgen.export.denoiser import ExportedDenoiser
from jaxgen.export.sampler import BATCH
from jaxgen.export.solving import Solving, solve_from_noise, with_guidance
from jaxgen.models.diffusion.guidance import at_time
from jaxgen.models.diffusion.panorama import Windows, in_batches, panorama


def draw_panorama(
    denoiser: ExportedDenoiser,
    how: Solving,
    size: tuple[int, int],
    windows: tuple[Windows, Windows],
    fields: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
) -> np.ndarray:
    """A picture uint8 [H, W, C] of a size [H, W], for the fields [1, ...] of the run's conditions.

    `windows` are those of the rows and of the columns, of the size of the run's images.

    Raises:
      InputError: the windows do not fit the size.
    """
    for sides, side in zip(windows, size, strict=True):
        sides.starts(side)
    guide = panorama(*windows)
    batched = in_batches(rows_per_device(BATCH))(with_guidance(denoiser, how.guidance, how.negative))

    def draw(seed: Array, rows: tuple[Array, Mapping[str, Array]]) -> Array:
        index, given = rows
        denoise = at_time(guide(batched), *(given[name] for name in denoiser.conditions))
        return solve_from_noise(denoise, ImageSpec(*size, denoiser.spec.channels), image_keys(seed, index), how)

    rows = np.arange(1, dtype=np.int32), dict(fields)
    return map_rows(draw)(jnp.uint32(seed), rows, size=1, what="Drawing a panorama")[0]
