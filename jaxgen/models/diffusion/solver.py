"""Deterministic solvers of the probability-flow ODE, and the loop that runs any solver.

With D = E[x_0 | x_t] the ODE of a schedule is

    (1) dx/dt = alpha' D + sigma' eps,    eps = (x - alpha D) / sigma       Karras et al. (2022), equation (4)
    (2) x_s = alpha_s D + sigma_s eps     exactly, if D is constant         Song et al. (2021), equation (12), eta = 0

https://arxiv.org/abs/2206.00364, https://arxiv.org/abs/2010.02502.  eps is 0 at sigma = 0, its limit for a smooth
density, so that neither images nor pure noise are singular, and a solver runs from noise to images as well as back.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.models.diffusion.schedule import Schedule


class Process(NamedTuple):
    """The process that a solver follows.

    `denoise` takes images [B, H, W, C] and their time [] to E[x_0 | x_t]; `steps` is the number of steps.
    """

    schedule: Schedule
    denoise: Callable[[Array, Array], Array]
    steps: int


class Interval(NamedTuple):
    """One step of the time grid: from the time t [] to the time s [], with a key for each image [B]."""

    t: Array
    s: Array
    keys: Array


class Solver(NamedTuple):
    """A solver as a pair of functions.

    `init` makes a memory of images [B, H, W, C]; `step` takes images at t and the memory to images at s and the memory.
    """

    init: Callable[[Array], Any]
    step: Callable[[Process, Array, Any, Interval], tuple[Array, Any]]
    least_steps: int = 1
    is_deterministic: bool = True


def solve(solver: Solver, process: Process, x: Array, times: Array, keys: Array) -> Array:
    """The images [B, H, W, C] at the last of the times [N + 1] from those at the first.

    The keys of step i are those of the images [B] folded with i, so that an image does not depend on the batch.

    Raises:
      ValueError: fewer steps than the solver needs.
    """
    return _steps(solver, process, x, times, keys)[0]


def trajectory(solver: Solver, process: Process, x: Array, times: Array, keys: Array) -> Array:
    """The images [N + 1, B, H, W, C] at all of the times [N + 1], the last of which `solve` gives.

    Raises:
      ValueError: fewer steps than the solver needs.
    """
    return jnp.concatenate([x[None], _steps(solver, process, x, times, keys)[1]])


def _steps(solver: Solver, process: Process, x: Array, times: Array, keys: Array) -> tuple[Array, Array]:
    """The images after the last step, and those after each: a program that does not use these does not keep them."""
    steps = len(times) - 1
    if steps < solver.least_steps:
        raise ValueError(f"The solver needs at least {solver.least_steps} steps; it was given {steps}.")

    def step(carry: tuple[Array, Any], inputs: tuple[Array, Array, Array]) -> tuple[tuple[Array, Any], Array]:
        t, s, number = inputs
        x, memory = solver.step(process, *carry, Interval(t, s, fold_in(keys, number)))
        return (x, memory), x

    (x, _), images = jax.lax.scan(step, (x, solver.init(x)), (times[:-1], times[1:], jnp.arange(steps)))
    return x, images


def fold_in(keys: Array, number: Array | int) -> Array:
    """Each of the keys [B] folded with a number."""
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)


def noise_of(schedule: Schedule, x: Array, denoised: Array, t: Array) -> Array:
    """Eps of (1); 0 at sigma = 0."""
    alpha, sigma = schedule.coefficients(t)
    return jnp.where(sigma > 0, (x - alpha * denoised) / jnp.where(sigma > 0, sigma, 1), 0)


def ddim(schedule: Schedule, x: Array, denoised: Array, t: Array, s: Array) -> Array:
    """The step (2) from t to s."""
    alpha, sigma = schedule.coefficients(s)
    return alpha * denoised + sigma * noise_of(schedule, x, denoised, t)


def slope(schedule: Schedule, x: Array, denoised: Array, t: Array) -> Array:
    """The right side of (1)."""
    d_alpha, d_sigma = schedule.derivatives(t)
    return d_alpha * denoised + d_sigma * noise_of(schedule, x, denoised, t)


def _euler_step(process: Process, x: Array, memory: None, interval: Interval) -> tuple[Array, None]:
    t, s, _ = interval
    return ddim(process.schedule, x, process.denoise(x, t), t, s), memory


def _heun_step(process: Process, x: Array, memory: None, interval: Interval) -> tuple[Array, None]:
    (t, s, _), schedule = interval, process.schedule
    denoised = process.denoise(x, t)

    def corrected() -> Array:
        first = slope(schedule, x, denoised, t)
        predicted = x + (s - t) * first
        second = slope(schedule, predicted, process.denoise(predicted, s), s)
        return x + (s - t) * (first + second) / 2

    is_image = schedule.coefficients(s)[1] == 0
    return jax.lax.cond(is_image, lambda: ddim(schedule, x, denoised, t, s), corrected), memory


def _multistep(
    process: Process, x: Array, memory: tuple[Array, Array], interval: Interval
) -> tuple[Array, tuple[Array, Array]]:
    (t, s, _), (before, start) = interval, memory
    denoised = process.denoise(x, t)
    now, then = (-jnp.log(process.schedule.ratio(time)) for time in (t, s))
    share = (then - now) / (2 * (now - start))
    # Intervals that begin or end at an infinite SNR, and the first one, are steps of first order.
    share = jnp.where(jnp.isfinite(share), share, 0)
    return ddim(process.schedule, x, denoised + share * (denoised - before), t, s), (denoised, now)


euler = Solver(lambda _: None, _euler_step)
"""The step (2), of first order, with one evaluation: DDIM.  For the linear schedule it is Euler's method."""

heun = Solver(lambda _: None, _heun_step, least_steps=2)
"""Heun's method for (1), of second order, with two evaluations: Karras et al. (2022), algorithm 1.

The step to an image is (2), with one evaluation."""

dpm_solver_2m = Solver(lambda x: (jnp.zeros_like(x), jnp.full((), -jnp.inf, x.dtype)), _multistep, least_steps=2)
"""DPM-Solver++(2M), of second order, with one evaluation: Lu et al. (2022), https://arxiv.org/abs/2211.01095, algorithm
2, which extrapolates D linearly in log(alpha / sigma)."""
