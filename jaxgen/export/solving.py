"""Images drawn from a run's denoiser by a solver, steps and guidance that are chosen when they are drawn."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.image import ImageSpec, to_uint8
from jaxgen.core.map_rows import map_rows, rows_per_device
from jaxgen.core.sampler import image_keys
from jaxgen.core.types import Array
from jaxgen.export.denoiser import ExportedDenoiser
from jaxgen.export.sampler import BATCH
from jaxgen.io.errors import InputError
from jaxgen.models.diffusion.grid import karras_grid
from jaxgen.models.diffusion.guidance import Denoiser, at_time, classifier_free
from jaxgen.models.diffusion.schedule import variance_exploding
from jaxgen.models.diffusion.solver import Process, dpm_solver_2m, euler, heun, solve, trajectory
from jaxgen.models.diffusion.stochastic import ancestral, churn

SOLVERS = {
    "heun": heun,
    "euler": euler,
    "dpm_solver_2m": dpm_solver_2m,
    "ancestral": ancestral(),
    "churn": churn(heun, 40.0),
}
SolverName = Literal["heun", "euler", "dpm_solver_2m", "ancestral", "churn"]
At = Callable[[Array, Array], Array]
"""Images [B, H, W, C] and their sigma [] to D(x; sigma)."""

LEAST_STEPS = 2
"""The least that `karras_grid` has."""


class Solving(NamedTuple):
    """How images are drawn: the solver's name, the number of steps, and the scale of classifier-free guidance.

    A scale of 1 is none, and None that of the run's own sampler.  The `negative` fields [1, ...] of conditions are what
    guidance leads away from, in place of no condition.
    """

    solver: SolverName = "heun"
    steps: int = 16
    guidance: float | None = None
    negative: Mapping[str, np.ndarray] = MappingProxyType({})


def require_solving(how: Solving, denoiser: ExportedDenoiser) -> None:
    """Refuses what the solver or the run does not allow.

    Raises:
      InputError: too few steps, guidance of a run without a condition that can be left out, or a negative condition
        without guidance.
    """
    least = max(LEAST_STEPS, SOLVERS[how.solver].least_steps)
    if how.steps < least:
        raise InputError(f"--steps {how.steps}: expected at least {least}.")
    if how.negative and (denoiser.guidance if how.guidance is None else how.guidance) == 1:
        raise InputError("--negative is what guidance leads away from, and there is none: give --guidance, e.g. 2.")
    if how.guidance in (None, 1):
        return
    if not denoiser.conditions:
        raise InputError(f"--guidance {how.guidance}: guidance strengthens a condition, and this run has none.")
    if any(condition.null is None for condition in denoiser.conditions.values()):
        raise InputError(f"--guidance {how.guidance}: this run is conditioned on images, which cannot be left out.")


def draw_by_solver(
    denoiser: ExportedDenoiser, how: Solving, seed: int, num: int, fields: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Images 0 to `num` of a seed, uint8 [num, H, W, C], for the fields [num, ...] of the run's conditions.

    The noise of image i is that of the run's sampler for the same seed, so that solvers can be compared.
    """
    return _draw(denoiser, how, seed, num, fields, from_noise=solve_from_noise)


def draw_trajectories(
    denoiser: ExportedDenoiser, how: Solving, seed: int, num: int, fields: Mapping[str, np.ndarray]
) -> np.ndarray:
    """How the images of `draw_by_solver` come out of noise, uint8 [num, steps + 1, H, W, C].

    x_t is shown as x_t / sqrt(1 + sigma^2), whose contrast is about that of images at any noise level.
    """

    def draw(denoise: At, spec: ImageSpec, keys: Array, how: Solving) -> Array:
        times, images = _solved(trajectory, denoise, spec, keys, how)
        shown = images / jnp.sqrt(1 + jnp.square(times))[:, None, None, None, None]
        return jnp.moveaxis(to_uint8(jnp.clip(shown, -1, 1)), 0, 1)

    return _draw(denoiser, how, seed, num, fields, from_noise=draw)


def solve_from_noise(denoise: At, spec: ImageSpec, keys: Array, how: Solving) -> Array:
    """Draws images uint8 [B, H, W, C] for keys [B].

    The noise that it starts from is that of `Diffusion.sampler` for the same keys.
    """
    return to_uint8(_solved(solve, denoise, spec, keys, how)[1])


def _solved(run: Callable[..., Array], denoise: At, spec: ImageSpec, keys: Array, how: Solving) -> tuple[Array, Array]:
    """The noise levels, and what `run`, of `solve` and `trajectory`, gives from noise on."""
    schedule, pairs = variance_exploding(), jax.vmap(jax.random.split)(keys)
    times = karras_grid(how.steps)(schedule)
    noise = jax.vmap(lambda key: jax.random.normal(key, spec))(pairs[:, 0])
    process = Process(schedule, denoise, how.steps)
    return times, run(SOLVERS[how.solver], process, times[0] * noise, times, pairs[:, 1])


def _draw(
    denoiser: ExportedDenoiser,
    how: Solving,
    seed: int,
    num: int,
    fields: Mapping[str, np.ndarray],
    *,
    from_noise: Callable[[At, ImageSpec, Array, Solving], Array],
) -> np.ndarray:
    guided = with_guidance(denoiser, how.guidance, how.negative)

    def draw(seed: Array, rows: tuple[Array, Mapping[str, Array]]) -> Array:
        index, given = rows
        arrays = [given[name] for name in denoiser.conditions]
        return from_noise(at_time(guided, *arrays), denoiser.spec, image_keys(seed, index), how)

    rows, size = (np.arange(num, dtype=np.int32), dict(fields)), rows_per_device(BATCH)
    return map_rows(draw)(jnp.uint32(seed), rows, size=size, what=f"Drawing {num:,} images")


def with_guidance(
    denoiser: ExportedDenoiser, scale: float | None, negative: Mapping[str, np.ndarray] = MappingProxyType({})
) -> Denoiser:
    """The denoiser of images, sigma [B] and the fields of its conditions in order, with classifier-free guidance.

    The scale is that of the run's own sampler if it is None; the `negative` fields are as in `Solving`.
    """
    scale = denoiser.guidance if scale is None else scale

    def denoise(x: Array, sigma: Array, *arrays: Array) -> Array:
        return denoiser.call(x, sigma, dict(zip(denoiser.conditions, arrays, strict=True)))

    if scale == 1:
        return denoise
    away = [
        jnp.asarray(negative[name]) if name in negative else jnp.full((1, *one.shape), one.null, one.dtype)
        for name, one in denoiser.conditions.items()
        if one.null is not None
    ]
    return classifier_free(scale, negative=tuple(away))(denoise)
