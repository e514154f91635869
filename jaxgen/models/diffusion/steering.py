"""Feynman-Kac steering: particles that are drawn together, of which those with a high reward are multiplied on the way.

The target for images x_0 with the model's density p and a reward r, and the weights of particles x_t at a time s < t,

    (1) target     p(x_0) exp(strength r(x_0))
    (2) weights    exp(strength (r(D(x_s)) - r(D(x_t)))),    D(x) = E[x_0 | x],  and at first exp(strength r(D(x_s)))

Their product along a path is exp(strength r(x_0)), so that the particles that are left follow (1) as their number
grows, whatever D is.  Singhal et al. (2025), "A General Framework for Inference-time Scaling and Steering of Diffusion
Models", https://arxiv.org/abs/2501.06848, with the difference potential; strength is lambda there.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.reward import Reward
from jaxgen.core.types import Array
from jaxgen.models.diffusion.grid import karras_grid
from jaxgen.models.diffusion.schedule import Schedule
from jaxgen.models.diffusion.solver import Process, Solver, solve

Advance = Callable[[Array, int], tuple[Array, Array]]
"""Particles [K, H, W, C] and the number of a round to the particles at its end, and to their E[x_0 | x_t]."""


class Particles(NamedTuple):
    """Particles at the end of a round [K, H, W, C], their E[x_0 | x_t], rewards [K] of these, and logs of weights [K].

    In the last round E[x_0 | x_t] are the images themselves.
    """

    x: Array
    denoised: Array
    rewards: Array
    log_weights: Array


def steer(
    advance: Advance, reward: Reward, x: Array, *, rounds: int, strength: float, key: Array
) -> Iterator[Particles]:
    """The particles after each round, before they are resampled by their weights (2) for the next.

    After the last one `x[resample(key, log_weights)]` follow the target (1).
    """
    before = jnp.zeros(len(x))
    for number in range(rounds):
        x, denoised = advance(x, number)
        rewards = reward(denoised)
        log_weights = strength * (rewards - before)
        yield Particles(x, denoised, rewards, log_weights)
        kept = resample(jax.random.fold_in(key, number), log_weights)
        x, before = x[kept], rewards[kept]


def resample(key: Array, log_weights: Array) -> Array:
    """Systematic resampling: the indices int32 [K] of particles, each about K times its share of the weights.

    One uniform number shifts K evenly spaced places among the cumulative weights: Douc et al. (2005), "Comparison of
    resampling schemes for particle filtering".
    """
    num = len(log_weights)
    cumulative = jnp.cumsum(jax.nn.softmax(log_weights))
    places = (jnp.arange(num) + jax.random.uniform(key)) / num
    return jnp.minimum(jnp.searchsorted(cumulative / cumulative[-1], places, side="right"), num - 1)


def solve_round(solver: Solver, process: Process, x: Array, times: Array, keys: Array) -> tuple[Array, Array]:
    """The particles [K, H, W, C] at the last of the times of a round, and their E[x_0 | x_t]; `keys` [K] are its own.

    Raises:
      ValueError: the solver is deterministic, so that copies of a particle would stay the same.
    """
    if solver.is_deterministic:
        raise ValueError("Steering needs a stochastic solver, such as ancestral(): copies of a particle must part.")
    x = solve(solver, process, x, times, keys)
    return x, jax.lax.cond(times[-1] > 0, lambda x: process.denoise(x, times[-1]), lambda x: x, x)


def round_times(schedule: Schedule, rounds: int, steps: int, *, most: float = 80.0, rho: float = 7.0) -> Array:
    """The times [rounds, steps + 1] of rounds from noise to images; each starts where the one before ends.

    Rounds end at values of sigma / (alpha + sigma) that are evenly spaced: at much noise E[x_0 | x_t] hardly depends on
    x_t, and at little noise copies of a particle hardly part.  A round has equal steps of (sigma / alpha)^(1 / rho); a
    single one is `karras_grid`.

    Raises:
      ValueError: fewer than two steps.
    """
    last = karras_grid(steps, most=1 / (rounds - 1) if rounds > 1 else most, rho=rho)(schedule)
    shares = 1 - np.arange(rounds) / rounds
    ends = [most, *(shares[1:] / (1 - shares[1:]))]
    others = [schedule.time(jnp.linspace(a ** (1 / rho), b ** (1 / rho), steps + 1) ** rho) for a, b in pairwise(ends)]
    return jnp.stack([*others, last])
