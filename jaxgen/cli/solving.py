"""Images drawn from a run's denoiser by a solver, steps and guidance that are chosen when they are drawn."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import to_uint8
from jaxgen.core.map_rows import map_rows, rows_per_device
from jaxgen.core.sampler import image_keys
from jaxgen.core.types import Array
from jaxgen.export.denoiser import ExportedDenoiser
from jaxgen.export.sampler import BATCH
from jaxgen.io.errors import InputError
from jaxgen.models.diffusion.grid import karras_grid
from jaxgen.models.diffusion.guidance import classifier_free, unguided
from jaxgen.models.diffusion.schedule import variance_exploding
from jaxgen.models.diffusion.solver import Process, dpm_solver_2m, euler, heun, solve
from jaxgen.models.diffusion.stochastic import ancestral

SOLVERS = {"heun": heun, "euler": euler, "dpm_solver_2m": dpm_solver_2m, "ancestral": ancestral()}
SolverName = Literal["heun", "euler", "dpm_solver_2m", "ancestral"]
LEAST_STEPS = 2
"""Those of the time grid."""


class Solving(NamedTuple):
    """How images are drawn: the solver's name, its steps and the scale of classifier-free guidance, 1 for none."""

    solver: SolverName = "heun"
    steps: int = 16
    guidance: float = 1.0


def require_solving(how: Solving, denoiser: ExportedDenoiser) -> None:
    """Refuses what the solver or the run does not allow.

    Raises:
      InputError: too few steps, or guidance of a run without a condition that can be left out.
    """
    least = max(LEAST_STEPS, SOLVERS[how.solver].least_steps)
    if how.steps < least:
        raise InputError(f"--steps {how.steps}: {how.solver} needs at least {least}.")
    if how.guidance != 1 and not denoiser.conditions:
        raise InputError(f"--guidance {how.guidance}: guidance strengthens a condition, and this run has none.")
    if how.guidance != 1 and "image" in denoiser.conditions:
        raise InputError(f"--guidance {how.guidance}: this run is conditioned on images, which cannot be left out.")


def draw_by_solver(
    denoiser: ExportedDenoiser, how: Solving, seed: int, num: int, fields: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Images 0 to `num` of a seed, uint8 [num, H, W, C], for the fields [num, ...] of the run's conditions.

    The noise of image i is that of the run's sampler for the same seed, so that solvers can be compared.
    """
    schedule, names = variance_exploding(), tuple(denoiser.conditions)
    times = karras_grid(how.steps)(schedule)
    # A field filled with -1 (labels) or 0 (others) is the null condition, as in training.
    nulls = tuple(
        jnp.full((1, *one.shape), -1 if one.classes else 0, one.dtype) for one in denoiser.conditions.values()
    )
    guide = unguided if how.guidance == 1 else classifier_free(how.guidance, negative=nulls)

    def denoise(x: Array, sigma: Array, *arrays: Array) -> Array:
        return denoiser.call(x, sigma, dict(zip(names, arrays, strict=True)))

    guided = guide(denoise)

    def draw(seed: Array, rows: tuple[Array, Mapping[str, Array]]) -> Array:
        index, given = rows
        keys = jax.vmap(jax.random.split)(image_keys(seed, index))
        noise = times[0] * jax.vmap(lambda key: jax.random.normal(key, denoiser.spec))(keys[:, 0])
        arrays = [given[name] for name in names]
        process = Process(schedule, lambda x, t: guided(x, jnp.broadcast_to(t, x.shape[:1]), *arrays), how.steps)
        return to_uint8(solve(SOLVERS[how.solver], process, noise, times, keys[:, 1]))

    rows = np.arange(num, dtype=np.int32), {name: fields[name] for name in names}
    size = rows_per_device(BATCH)
    return map_rows(draw)(jnp.uint32(seed), rows, size=size, what=f"Drawing {num:,} images")
