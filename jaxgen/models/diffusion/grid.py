"""Time grids of solvers: N + 1 times from noise to images, of which the last is 0.

Grids in sigma / alpha are the same noise levels for every schedule; they start at a ratio of `most`, where the image is
taken to be lost in the noise.
"""

from collections.abc import Callable

import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.models.diffusion.schedule import Schedule

Grid = Callable[[Schedule], Array]
"""A schedule to its times [N + 1]."""


def uniform_grid(steps: int) -> Grid:
    """Equal steps of time.

    Raises:
      ValueError: fewer than one step.
    """
    require_steps(steps, 1)
    return lambda schedule: jnp.linspace(schedule.end, 0.0, steps + 1)


def karras_grid(steps: int, *, least: float = 0.002, most: float = 80.0, rho: float = 7.0) -> Grid:
    """Karras et al. (2022), https://arxiv.org/abs/2206.00364, equation (5): equal steps of (sigma / alpha)^(1 / rho).

    Raises:
      ValueError: fewer than two steps, or no `least` between 0 and `most`.
    """
    _require_range(steps, least, most)
    return lambda schedule: _to_image(schedule.time(jnp.linspace(most ** (1 / rho), least ** (1 / rho), steps) ** rho))


def log_snr_grid(steps: int, *, least: float = 0.002, most: float = 80.0) -> Grid:
    """Equal steps of log(alpha / sigma), as in DPM-Solver: Lu et al. (2022), https://arxiv.org/abs/2206.00927.

    Raises:
      ValueError: fewer than two steps, or no `least` between 0 and `most`.
    """
    _require_range(steps, least, most)
    return lambda schedule: _to_image(schedule.time(jnp.exp(jnp.linspace(jnp.log(most), jnp.log(least), steps))))


def require_steps(steps: int, least: int) -> None:
    """Refuses a grid of too few steps.

    Raises:
      ValueError: fewer than `least`.
    """
    if steps < least:
        raise ValueError(f"A time grid was given {steps} steps; expected at least {least}.")


def _require_range(steps: int, least: float, most: float) -> None:
    require_steps(steps, 2)
    if not 0 < least < most:
        raise ValueError(f"A time grid was given noise levels from {most:g} to {least:g}; expected 0 < least < most.")


def _to_image(times: Array) -> Array:
    return jnp.append(times, 0.0)
