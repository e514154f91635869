"""Guidance: functions from denoisers to denoisers.

A `Denoiser` takes images [B, H, W, C], their times [B] and the conditioning inputs to D = E[x_0 | x_t].  Guidance at a
scale w goes from a worse denoiser to a better one, and beyond:

    (1) D_w = D_worse + w (D_better - D_worse)

w = 1 is the better denoiser and 0 the worse one.  For E[x_0 | x_t] it is the same as for scores, noise and velocities,
which are linear in it.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp

from jaxgen.core.types import Array

Denoiser = Callable[..., Array]
"""Images x_t [B, H, W, C], times [B] and conditioning inputs to E[x_0 | x_t]."""

Guidance = Callable[[Denoiser], Denoiser]


def at_time(denoiser: Denoiser, *condition: Array) -> Callable[[Array, Array], Array]:
    """The denoiser with these conditioning inputs, for images [B, H, W, C] that all have one time []."""
    return lambda x, t: denoiser(x, jnp.broadcast_to(t, x.shape[:1]), *condition)


def unguided(denoiser: Denoiser) -> Denoiser:
    """The denoiser itself."""
    return denoiser


def classifier_free(
    scale: float, *, interval: tuple[float, float] = (0.0, math.inf), negative: tuple[Array, ...] = (), kept: int = 0
) -> Guidance:
    """(1) from the null condition to the condition: Ho and Salimans (2022), https://arxiv.org/abs/2207.12598.

    Equation (6) there, with a weight of w - 1.  Outside an `interval` of times the scale is 1: Kynkäänniemi et al.
    (2024), https://arxiv.org/abs/2404.07724, equation (6).  A `negative` condition, conditioning inputs [1, ...] or
    [B, ...], replaces the null condition.  The first `kept` conditioning inputs, of which networks take maps first,
    are never dropped: known frames stay known while guidance strengthens a label.

    Raises:
      ValueError: the scale is not a finite number of at least 0, or the interval is empty.
      TypeError: when it denoises, if there is no condition but those that are kept, or another number of negative ones.
    """
    _require_scale("classifier_free", scale)
    if not interval[0] <= interval[1]:
        raise ValueError(f"classifier_free was given the interval {interval}; expected its lower end first.")

    def guide(denoiser: Denoiser) -> Denoiser:
        def denoise(x: Array, t: Array, *condition: Array) -> Array:
            if len(condition) <= kept:
                raise TypeError("classifier_free guides towards a condition; this model has none.")
            away = (*condition[:kept], *(negative or map(jnp.zeros_like, condition[kept:])))
            if len(away) != len(condition):
                raise TypeError(f"{len(negative)} negative conditions were given; expected {len(condition) - kept}.")
            both = [
                jnp.concatenate([to, jnp.broadcast_to(one, to.shape)]) for to, one in zip(condition, away, strict=True)
            ]
            better, worse = jnp.split(denoiser(jnp.tile(x, (2, 1, 1, 1)), jnp.tile(t, 2), *both), 2)
            is_inside = (interval[0] <= t) & (t <= interval[1])
            return _extrapolated(better, worse, jnp.where(is_inside, scale, 1.0))

        return denoise

    return guide


def classifier_free_each(*scales: float) -> Guidance:
    """Classifier-free guidance with a scale for each conditioning input c_1, ..., c_n, in the network's order.

    (2) D_w = D_0 + sum_k w_k (D_k - D_(k-1)), where D_k has c_1 to c_k and the null condition for the others

    Brooks et al. (2023), https://arxiv.org/abs/2211.09800, equation (3), for n = 2.  Networks take maps, then tokens,
    then one vector; labels and features, which are one vector, share its scale.  Equal scales are `classifier_free`'s.
    Training has dropped each condition by itself: `drop_condition(..., independently=True)`.

    Raises:
      ValueError: no scales, or one that is not a finite number of at least 0.
      TypeError: when it denoises, if there is another number of conditioning inputs.
    """
    if not scales:
        raise ValueError("classifier_free_each was given no scales; expected one for each conditioning input.")
    for scale in scales:
        _require_scale("classifier_free_each", scale)

    def guide(denoiser: Denoiser) -> Denoiser:
        def denoise(x: Array, t: Array, *condition: Array) -> Array:
            if len(condition) != len(scales):
                raise TypeError(f"{len(scales)} scales were given for {len(condition)} conditioning inputs.")
            count = len(scales) + 1
            inputs = [
                jnp.concatenate([jnp.where(known > number, one, jnp.zeros_like(one)) for known in range(count)])
                for number, one in enumerate(condition)
            ]
            denoised = denoiser(jnp.tile(x, (count, 1, 1, 1)), jnp.tile(t, count), *inputs)
            none, *more = jnp.split(denoised, count)
            steps = zip(scales, more, [none, *more], strict=False)
            return none + sum(scale * (after - before) for scale, after, before in steps)

        return denoise

    return guide


def autoguidance(worse: Denoiser, scale: float) -> Guidance:
    """(1) from a worse denoiser, such as a smaller or less trained one, with the same condition.

    Karras et al. (2024), https://arxiv.org/abs/2406.02507, equation (3).

    Raises:
      ValueError: the scale is not a finite number of at least 0.
    """
    _require_scale("autoguidance", scale)

    def guide(denoiser: Denoiser) -> Denoiser:
        def denoise(x: Array, t: Array, *condition: Array) -> Array:
            return _extrapolated(denoiser(x, t, *condition), worse(x, t, *condition), jnp.full_like(t, scale))

        return denoise

    return guide


def _extrapolated(better: Array, worse: Array, scale: Array) -> Array:
    """(1) at a scale [B], exactly `better` where it is 1."""
    scale = scale[:, None, None, None]
    return jnp.where(scale == 1, better, worse + scale * (better - worse))


def _require_scale(name: str, scale: float) -> None:
    if not 0 <= scale < math.inf:
        raise ValueError(f"{name} was given a scale of {scale}; expected a finite number of at least 0.")
