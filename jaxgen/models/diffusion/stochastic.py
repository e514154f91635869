"""Stochastic solvers: noise is added between steps, and with it earlier errors are forgotten."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.core.checks import require_positive
from jaxgen.core.types import Array
from jaxgen.models.diffusion.schedule import Schedule
from jaxgen.models.diffusion.solver import Interval, Process, Solver, fold_in, noise_of, solve

MOST_CHURN = math.sqrt(2) - 1


def draw_noise(keys: Array, x: Array) -> Array:
    """Standard normal noise like images [B, H, W, C], each from its own key."""
    return jax.vmap(lambda key: jax.random.normal(key, x.shape[1:], x.dtype))(keys)


def add_noise(schedule: Schedule, x: Array, t: Array, s: Array, noise: Array) -> Array:
    """Images at t to images at a later time s, by noise that is added; x itself where t is pure noise."""
    (alpha, sigma), (beta, rho) = schedule.coefficients(t), schedule.coefficients(s)
    share = jnp.where(alpha > 0, beta / jnp.where(alpha > 0, alpha, 1), 1)
    return share * x + jnp.sqrt(jnp.maximum(jnp.square(rho) - jnp.square(share * sigma), 0)) * noise


def ancestral(eta: float = 1.0) -> Solver:
    """Ancestral sampling: DDPM at `eta` = 1, and at 0 DDIM, which is (2) of `solver`.

    The deviation of the noise is that of Song et al. (2021), https://arxiv.org/abs/2010.02502, equation (16).

    Raises:
      ValueError: `eta` is outside [0, 1].
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"ancestral was given an eta of {eta}; expected one from 0 to 1.")

    def step(process: Process, x: Array, memory: None, interval: Interval) -> tuple[Array, None]:
        t, s, keys = interval
        denoised = process.denoise(x, t)
        (alpha, sigma), (beta, rho) = process.schedule.coefficients(t), process.schedule.coefficients(s)
        kept = alpha * rho / (beta * sigma)
        deviation = eta * rho * jnp.sqrt(jnp.maximum(1 - jnp.square(kept), 0))
        rest = jnp.sqrt(jnp.square(rho) - jnp.square(deviation))
        noise = noise_of(process.schedule, x, denoised, t)
        return beta * denoised + rest * noise + deviation * draw_noise(keys, x), memory

    return Solver(lambda _: None, step, is_deterministic=eta == 0)


def churn(
    solver: Solver, amount: float, *, ratios: tuple[float, float] = (0.05, 50.0), noise_scale: float = 1.003
) -> Solver:
    """The solver with noise that is added before each step: Karras et al. (2022), algorithm 2.

    `amount`, `ratios` (of sigma and alpha) and `noise_scale` are S_churn, (S_tmin, S_tmax) and S_noise of
    https://arxiv.org/abs/2206.00364.

    Raises:
      ValueError: a negative amount, ratios that do not rise, or a noise scale that is not above 0.
    """
    if not 0 <= amount < math.inf:
        raise ValueError(f"churn was given an amount of {amount}; expected a finite number of at least 0.")
    if not 0 <= ratios[0] < ratios[1]:
        raise ValueError(f"churn was given ratios of {ratios}; expected two that rise, from 0 on.")
    require_positive("churn", noise_scale=noise_scale)

    def step(process: Process, x: Array, memory: Any, interval: Interval) -> tuple[Array, Any]:
        t, s, keys = interval
        ratio = process.schedule.ratio(t)
        is_inside = (ratios[0] <= ratio) & (ratio <= ratios[1])
        gamma = jnp.where(is_inside, min(amount / process.steps, MOST_CHURN), 0)
        later = jnp.where(is_inside, process.schedule.time((1 + gamma) * ratio), t)
        x = add_noise(process.schedule, x, t, later, noise_scale * draw_noise(keys, x))
        return solver.step(process, x, memory, Interval(later, s, keys))

    return solver._replace(step=step, is_deterministic=solver.is_deterministic and amount == 0)


def restart(solver: Solver, start: float, end: float, *, repeats: int = 1, steps: int = 4) -> Solver:
    """The solver, which returns to the time `start` as soon as it has reached the time `end`, a number of times.

    Noise takes the images back, and `steps` equal steps forth again: Xu et al. (2023),
    https://arxiv.org/abs/2306.14878, algorithm 2.

    Raises:
      ValueError: `start` is not above `end`, or fewer than one repetition.
    """
    if not 0 <= end < start or repeats < 1:
        raise ValueError(f"restart was given {repeats} repeats from {end} back to {start}; expected a later time.")

    def again(process: Process, x: Array, s: Array, keys: Array) -> Array:
        times = jnp.linspace(jnp.asarray(start, s.dtype), s, steps + 1)

        def once(number: Array, x: Array) -> Array:
            back, forth = fold_in(keys, 2 * number), fold_in(keys, 2 * number + 1)
            x = add_noise(process.schedule, x, s, times[0], draw_noise(back, x))
            return solve(solver, process._replace(steps=steps), x, times, forth)

        return jax.lax.fori_loop(0, repeats, once, x)

    def step(process: Process, x: Array, memory: Any, interval: Interval) -> tuple[Array, Any]:
        t, s, keys = interval
        x, memory = solver.step(process, x, memory, interval)

        def run(x: Array) -> tuple[Array, Any]:
            return again(process, x, s, fold_in(keys, 0)), solver.init(x)

        return jax.lax.cond((s <= end) & (end < t), run, lambda x: (x, memory), x)

    return solver._replace(step=step, is_deterministic=False)
