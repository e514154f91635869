"""Likelihoods of images: the distribution that a decoder's outputs parametrise.

    (1) Bernoulli    log p = x log s(l) + (1 - x) log(1 - s(l))                 x in [0, 1], one logit l per value
    (2) Gaussian     log p = -1/2 ((x - m)^2 / v + log 2 pi v)                  x in [-1, 1], a density
    (3) categorical  log p = log softmax(l)_x                                   256 logits per value
    (4) logistic     p = s((x + 1/255 - m) / e^a) - s((x - 1/255 - m) / e^a)    x in [-1, 1], a mixture of these

with s the logistic function.  In (4) the first and the last level also hold the mass of the tails below and above them,
and the mean of a channel is linear in the channels before it.  Salimans et al. (2017), https://arxiv.org/abs/1701.05517,
section 2.

Images are uint8 [..., H, W, C], so that no value is outside the support.  Grey levels under (1) are probabilities of
white, and (1) is then the expectation over images binarised at random.  Log likelihoods are [...], in nats, *summed*
over pixels and channels: with a mean, a KL divergence added to it would weigh hundreds of times too much.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.image import to_float
from jaxgen.core.types import Array
from jaxgen.losses.divergence import gaussian_log_density

LEVELS = 256
LEAST_LOG_SCALE = -7.0
"""Lower bound on the log scale of a logistic: a narrower one lies within one level."""
MOST_LOG_SCALE = 7.0
"""Upper bound: a wider one is flat over all levels, and far beyond it their probabilities would be rounded to 0."""


class Likelihood(NamedTuple):
    """A distribution of images, parametrised by `dist_params` float32 [..., H, W, P].

    Means and samples are float32 [..., H, W, C] in [-1, 1]; those of a Gaussian may lie beyond.
    """

    num_params: Callable[[int], int]
    """The number of channels C to the number P of parameters per pixel."""
    log_prob: Callable[[Array, Array], Array]
    """`dist_params` and images uint8 [..., H, W, C] to log likelihoods [...]."""
    mean: Callable[[Array], Array]
    """`dist_params` to the mean image."""
    sample: Callable[[Array, Array], Array]
    """A key and `dist_params` to a sample."""
    temper: Callable[[Array, float], Array] | None = None
    """`dist_params` and a temperature, which divides logits and multiplies scales, to `dist_params`; or None."""


def require_num_params(likelihood: Likelihood, dist_params: Array, channels: int) -> None:
    """Refuses a network's outputs [..., H, W, P] unless P is the likelihood's number of parameters per pixel.

    Raises:
      ValueError: naming both.
    """
    if dist_params.shape[-1] != (expected := likelihood.num_params(channels)):
        raise ValueError(
            f"The network has {dist_params.shape[-1]} outputs per pixel; its likelihood has {expected} parameters: "
            "likelihood.num_params(channels)."
        )


def tempered(likelihood: Likelihood, temperature: float) -> Likelihood:
    """The likelihood at a temperature: below 1 it concentrates on its modes.

    Raises:
      ValueError: the temperature is not above 0, or the likelihood is a density.
    """
    require_temperature(temperature)
    if (temper := likelihood.temper) is None:
        raise ValueError("A density was given; expected bernoulli, categorical or discretized_logistic_mixture.")

    def log_prob(dist_params: Array, images: Array) -> Array:
        return likelihood.log_prob(temper(dist_params, temperature), images)

    def mean(dist_params: Array) -> Array:
        return likelihood.mean(temper(dist_params, temperature))

    def sample(key: Array, dist_params: Array) -> Array:
        return likelihood.sample(key, temper(dist_params, temperature))

    return likelihood._replace(log_prob=log_prob, mean=mean, sample=sample)


def require_temperature(temperature: float) -> None:
    """Refuses a temperature that is not a finite number above 0.

    Raises:
      ValueError: naming it.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"A temperature of {temperature} was given; expected a finite number above 0.")


def flat(pixels: Array) -> Array:
    """Values [..., H, W, C] as [..., H W C]: XLA sums one axis several times faster than three, the last short."""
    return pixels.reshape(*pixels.shape[:-3], -1)


def divided(logits: Array, temperature: float) -> Array:
    """Logits divided by a temperature."""
    return logits / temperature


def bernoulli() -> Likelihood:
    """Binary pixels, black or white, (1); the mean is a grey level."""

    def log_prob(logits: Array, images: Array) -> Array:
        white, logits = flat((to_float(images) + 1) / 2), flat(logits)
        return (white * logits - jax.nn.softplus(logits)).sum(-1)

    def sample(key: Array, logits: Array) -> Array:
        return 2.0 * jax.random.bernoulli(key, jax.nn.sigmoid(logits)) - 1

    return Likelihood(lambda channels: channels, log_prob, lambda logits: jnp.tanh(logits / 2), sample, divided)


def gaussian(variance: float = 0.5) -> Likelihood:
    """A normal distribution with a fixed variance, (2); a variance of 1/2 gives the squared error plus a constant.

    Raises:
      ValueError: the variance is not above 0.
    """
    if not variance > 0:
        raise ValueError(f"gaussian was given variance {variance}; expected one above 0.")

    def log_prob(mean: Array, images: Array) -> Array:
        return gaussian_log_density(flat(to_float(images)), flat(mean), math.log(variance)).sum(-1)

    def sample(key: Array, mean: Array) -> Array:
        return mean + math.sqrt(variance) * jax.random.normal(key, mean.shape)

    return Likelihood(lambda channels: channels, log_prob, lambda mean: mean, sample)


def learned_gaussian(least_log_variance: float = -7.0) -> Likelihood:
    """A normal distribution with a learned variance, (2): C means, then C log variances, softly bounded from below."""

    def split(dist_params: Array) -> tuple[Array, Array]:
        mean, log_variance = jnp.split(dist_params, 2, axis=-1)
        return mean, least_log_variance + jax.nn.softplus(log_variance - least_log_variance)

    def log_prob(dist_params: Array, images: Array) -> Array:
        return gaussian_log_density(flat(to_float(images)), *map(flat, split(dist_params))).sum(-1)

    def sample(key: Array, dist_params: Array) -> Array:
        mean, log_variance = split(dist_params)
        return mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)

    return Likelihood(lambda channels: 2 * channels, log_prob, lambda dist_params: split(dist_params)[0], sample)


def categorical(levels: int = LEVELS) -> Likelihood:
    """A categorical distribution over `levels` grey levels from black to white, (3); images are rounded to the nearest.

    Raises:
      ValueError: not from 2 to 256 levels.
    """
    if not 2 <= levels <= LEVELS:
        raise ValueError(f"categorical was given {levels} levels; expected from 2 to {LEVELS}.")

    def log_probs(dist_params: Array) -> Array:
        return jax.nn.log_softmax(dist_params.reshape(*dist_params.shape[:-1], -1, levels))

    def log_prob(dist_params: Array, images: Array) -> Array:
        index = jnp.round(images.astype(jnp.float32) * ((levels - 1) / 255)).astype(jnp.int32)
        logs = log_probs(dist_params)
        shape = jnp.broadcast_shapes(logs.shape[:-1], index.shape)
        logs, index = jnp.broadcast_to(logs, (*shape, levels)), jnp.broadcast_to(index, shape)
        return jnp.take_along_axis(logs, index[..., None], axis=-1)[..., 0].sum((-3, -2, -1))

    def mean(dist_params: Array) -> Array:
        return jnp.exp(log_probs(dist_params)) @ jnp.linspace(-1.0, 1.0, levels)

    def sample(key: Array, dist_params: Array) -> Array:
        return jnp.linspace(-1.0, 1.0, levels)[jax.random.categorical(key, log_probs(dist_params))]

    return Likelihood(lambda channels: levels * channels, log_prob, mean, sample, divided)
