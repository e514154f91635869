"""The discretised mixture of logistics, equation (4) of `jaxgen.losses.likelihood`.

For C channels and K components, the parameters of a pixel are K logits, C K means, C K log scales and C (C - 1) / 2 K
coefficients of the preceding channels.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.image import to_float
from jaxgen.core.types import Array
from jaxgen.losses.likelihood import LEAST_LOG_SCALE, LEVELS, MOST_LOG_SCALE, Likelihood

HALF = 1 / (LEVELS - 1)
"""Half a level."""


class Mixture(NamedTuple):
    """Log weights [..., K]; means and log scales [..., C, K]; coefficients [..., C (C - 1) / 2, K] from -1 to 1."""

    log_weights: Array
    means: Array
    log_scales: Array
    coefficients: Array


def discretized_logistic_mixture(components: int = 10) -> Likelihood:
    """A mixture of `components` logistics, discretised to the 256 levels.

    Raises:
      ValueError: no components.
    """
    if components < 1:
        raise ValueError(f"discretized_logistic_mixture was given {components} components; expected at least 1.")

    split = partial(_split, components)

    def log_prob(dist_params: Array, images: Array) -> Array:
        mixture, x = split(dist_params), to_float(images)[..., None]
        means = _conditional_means(mixture, x)
        per_component = _log_logistic(x, means, mixture.log_scales).sum(-2)
        return jax.nn.logsumexp(mixture.log_weights + per_component, axis=-1).sum((-2, -1))

    def mean(dist_params: Array) -> Array:
        mixture = split(dist_params)
        # The tails beyond black and white belong to black and white: clipped means are exact for narrow components.
        means = _by_channel(mixture, lambda mean, _: jnp.clip(mean, -1, 1))
        return jnp.einsum("...k,...ck->...c", jnp.exp(mixture.log_weights), means)

    def sample(key: Array, dist_params: Array) -> Array:
        mixture, (choice, noise) = split(dist_params), jax.random.split(key)
        chosen = jax.random.categorical(choice, mixture.log_weights)
        one = Mixture(mixture.log_weights, *(_select(part, chosen) for part in mixture[1:]))
        uniform = jax.random.uniform(noise, one.means.shape, minval=1e-5, maxval=1 - 1e-5)
        logistic = jnp.exp(one.log_scales) * (jnp.log(uniform) - jnp.log1p(-uniform))
        return _by_channel(one, lambda mean, channel: _to_level(mean + logistic[..., channel, :]))[..., 0]

    def temper(dist_params: Array, temperature: float) -> Array:
        return _tempered(dist_params, temperature, components)

    return Likelihood(partial(_num_params, components), log_prob, mean, sample, temper)


def _num_params(components: int, channels: int) -> int:
    """The number of parameters per pixel."""
    return components * (1 + 2 * channels + channels * (channels - 1) // 2)


def _channels(components: int, count: int) -> int:
    """The number of channels, 1 or 3, of a pixel with `count` parameters."""
    for channels in (1, 3):
        if _num_params(components, channels) == count:
            return channels
    expected = f"{_num_params(components, 1)} (grey) or {_num_params(components, 3)} (colour)"
    raise ValueError(f"A mixture was given {count} parameters per pixel; expected {expected}.")


def _split(components: int, dist_params: Array) -> Mixture:
    """The mixture with parameters [..., P]."""
    channels = _channels(components, dist_params.shape[-1])
    dist_params = dist_params.reshape(*dist_params.shape[:-1], -1, components)
    return Mixture(
        jax.nn.log_softmax(dist_params[..., 0, :]),
        dist_params[..., 1 : channels + 1, :],
        _bounded(dist_params[..., channels + 1 : 2 * channels + 1, :]),
        jnp.tanh(dist_params[..., 2 * channels + 1 :, :]),
    )


def _bounded(log_scales: Array) -> Array:
    return jnp.clip(log_scales, LEAST_LOG_SCALE, MOST_LOG_SCALE)


def _tempered(dist_params: Array, temperature: float, components: int) -> Array:
    """The parameters at a temperature, which divides the weights' logits and multiplies the scales."""
    channels = _channels(components, dist_params.shape[-1])
    ends = [components * count for count in (1, channels + 1, 2 * channels + 1)]
    logits, means, log_scales, others = jnp.split(dist_params, ends, axis=-1)
    log_scales = _bounded(log_scales) + math.log(temperature)
    return jnp.concatenate([logits / temperature, means, log_scales, others], axis=-1)


def _log_logistic(x: Array, mean: Array, log_scale: Array) -> Array:
    """The logarithm of (4), accurate also where both terms are near 0 or near 1.

    s(a) - s(b) = s(a) s(-b) (1 - exp(b - a))
    """
    scale = jnp.exp(-log_scale)
    above, below = (x + HALF - mean) * scale, (x - HALF - mean) * scale
    within = jax.nn.log_sigmoid(above) + jax.nn.log_sigmoid(-below) + jnp.log(-jnp.expm1(-2 * HALF * scale))
    first, last = x < -1 + HALF, x > 1 - HALF
    return jnp.where(first, jax.nn.log_sigmoid(above), jnp.where(last, jax.nn.log_sigmoid(-below), within))


def _conditional_means(mixture: Mixture, x: Array) -> Array:
    """The means [..., C, K], each given the channels before it of x [..., C, 1]."""
    means, rows, place = mixture.means, [], 0
    means = jnp.broadcast_to(means, jnp.broadcast_shapes(means.shape, x.shape))
    for channel in range(means.shape[-2]):
        mean = means[..., channel, :]
        for before in range(channel):
            mean += mixture.coefficients[..., place, :] * x[..., before, :]
            place += 1
        rows.append(mean)
    return jnp.stack(rows, axis=-2)


def _by_channel(mixture: Mixture, value: Callable[[Array, int], Array]) -> Array:
    """Values [..., C, K] in ancestral order: `value(mean, channel)` of each mean [..., K] given the channels before."""
    values: list[Array] = []
    for channel in range(mixture.means.shape[-2]):
        known = [*values, *[jnp.zeros_like(mixture.means[..., 0, :])] * (mixture.means.shape[-2] - channel)]
        mean = _conditional_means(mixture, jnp.stack(known, axis=-2))[..., channel, :]
        values.append(value(mean, channel))
    return jnp.stack(values, axis=-2)


def _select(part: Array, chosen: Array) -> Array:
    """The component with index `chosen` [...] of [..., C, K], as [..., C, 1]."""
    return jnp.take_along_axis(part, chosen[..., None, None], axis=-1)


def _to_level(x: Array) -> Array:
    """The nearest of the 256 levels."""
    return jnp.round((jnp.clip(x, -1, 1) + 1) / (2 * HALF)) * 2 * HALF - 1
