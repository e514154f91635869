"""The log-likelihood of the probability-flow ODE.

With f the right side of the ODE, (1) of `solver`, and x(t) its path from an image x to noise,

    (1) log p(x) = log N(x(T); 0, sigma_T^2 I) + int div f(x(t), t) dt     Song et al. (2021), section 4.3
    (2) div f = E[v . (df / dx) v],    v of random signs                    ibid.

https://arxiv.org/abs/2011.13456.  (2) is Hutchinson's estimator; it is exact as the mean over the unit vectors, each
times the square root of their number.  The path begins at the first time of the grid, where the noise is so little that
the density of x_t / alpha stands for that of the image.

A density can be compared with probabilities of discrete images only through (3), where u is uniform over the cell of
a level, whose sides are h:

    (3) -log P(x) <= -E[log p(x + u)] - H W C log h                         Theis et al. (2016), section 3.1

https://arxiv.org/abs/1511.01844.  It is the bound for uint8 images; black and white ones have levels too far apart.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.condition import conditioning
from jaxgen.core.image import to_float
from jaxgen.core.types import Array, Networks
from jaxgen.losses.divergence import gaussian_log_density
from jaxgen.losses.likelihood import LEVELS, flat
from jaxgen.models.diffusion.grid import Grid, log_snr_grid
from jaxgen.models.diffusion.guidance import at_time
from jaxgen.models.diffusion.model import Diffusion
from jaxgen.models.diffusion.schedule import Schedule
from jaxgen.models.diffusion.solver import slope

CELL = 2 / (LEVELS - 1)
"""The distance h between the levels of a uint8 image in [-1, 1]."""


class FlowLikelihood(NamedTuple):
    """The negative log-likelihood of each image [B], in nats, and the standard error [B] of its trace.

    The error is NaN for a single probe.
    """

    nats: Array
    standard_error: Array


def flow_log_density(
    schedule: Schedule, denoise: Callable[[Array, Array], Array], x: Array, times: Array, probes: Array
) -> Array:
    """(1) for images float32 [B, H, W, C] and each probe v [K, B, H, W, C], [K, B]: (2) is the mean over them.

    `denoise` takes images and a time [] to E[x_0 | x_t]; the classical Runge-Kutta method of fourth order integrates
    over `times` [N + 1], which rise from little noise to the schedule's end.
    """

    def rates(state: tuple[Array, Array], t: Array) -> tuple[Array, Array]:
        velocity, pull_back = jax.vjp(lambda x: slope(schedule, x, denoise(x, t), t), state[0])
        return velocity, jax.vmap(lambda probe: flat(probe * pull_back(probe)[0]).sum(-1))(probes)

    def step(state: tuple[Array, Array], interval: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        return _runge_kutta(rates, state, *interval), None

    alpha, _ = schedule.coefficients(times[0])
    start = alpha * x, jnp.zeros(probes.shape[:2], x.dtype)
    (end, divergence), _ = jax.lax.scan(step, start, (times[:-1], times[1:]))
    _, sigma = schedule.coefficients(times[-1])
    prior = gaussian_log_density(flat(end), jnp.zeros((), x.dtype), 2 * jnp.log(sigma)).sum(-1)
    return prior + divergence + flat(x).shape[-1] * jnp.log(alpha)


def random_signs(keys: Array, count: int, x: Array) -> Array:
    """Probes [count, B, H, W, C] of (2) for images [B, H, W, C], each from its own key [B]."""
    draw = jax.vmap(lambda key: jax.random.rademacher(key, (count, *x.shape[1:]), x.dtype), out_axes=1)
    return draw(keys)


def unit_vectors(x: Array) -> Array:
    """The probes [H W C, B, H, W, C] for which the mean in (2) is exact, for images of few pixels."""
    size = flat(x).shape[-1]
    vectors = math.sqrt(size) * jnp.eye(size, dtype=x.dtype).reshape(size, 1, *x.shape[1:])
    return jnp.broadcast_to(vectors, (size, *x.shape))


def flow_likelihood(
    model: Diffusion, networks: Networks, *, probes: int = 8, grid: Grid | None = None
) -> Callable[[Mapping[str, Array], Array], FlowLikelihood]:
    """A function from a batch and a key for each image [B] to an estimate of (3) by Hutchinson's estimator.

    The batch has images uint8 [B, H, W, C] and the fields of the conditions.  The path follows the grid, by default of
    64 steps of log SNR, without its last time.

    Raises:
      ValueError: no probes.
    """
    if probes < 1:
        raise ValueError(f"flow_likelihood was given {probes} probes; expected at least 1.")
    denoiser, schedule = model.denoiser(networks), model.schedule

    def likelihood(batch: Mapping[str, Array], keys: Array) -> FlowLikelihood:
        image, condition = to_float(batch["image"]), conditioning(model.conditions, batch)
        times = (grid or log_snr_grid(64))(schedule)[-2::-1]
        pairs = jax.vmap(jax.random.split)(keys)
        uniform = jax.vmap(lambda key: jax.random.uniform(key, image.shape[1:], minval=-0.5, maxval=0.5))
        density = flow_log_density(
            schedule,
            at_time(denoiser, *condition),
            image + CELL * uniform(pairs[:, 0]),
            times,
            random_signs(pairs[:, 1], probes, image),
        )
        nats = -density - flat(image).shape[-1] * math.log(CELL)
        return FlowLikelihood(nats.mean(0), nats.std(0, ddof=1) / jnp.sqrt(probes))

    return likelihood


State = tuple[Array, Array]


def _runge_kutta(rates: Callable[[State, Array], State], state: State, t: Array, s: Array) -> State:
    """A step from t to s of the classical method of fourth order."""
    step, middle = s - t, (t + s) / 2

    def moved(rate: State, share: float) -> State:
        return jax.tree.map(lambda value, rate: value + share * step * rate, state, rate)

    first = rates(state, t)
    second = rates(moved(first, 1 / 2), middle)
    third = rates(moved(second, 1 / 2), middle)
    fourth = rates(moved(third, 1.0), s)
    mean = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, first, second, third, fourth)
    return moved(mean, 1.0)
