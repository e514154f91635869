"""The variational bound on the log-likelihood of discrete images, in continuous time.

With x_t as in (1) of `schedule`, D(x_t, t) the denoiser and SNR = alpha^2 / sigma^2, from a time s of little noise to a
time e of nearly pure noise,

    (1) -log p(x) <= prior + diffusion + reconstruction               Kingma et al. (2021), equation (11)
    (2) prior          = KL(q(x_e | x) || N(0, sigma_e^2 I)) = SNR_e |x|^2 / 2
    (3) diffusion      = 1/2 E[int SNR |x - D(x_t, t)|^2 d log SNR]   ibid., equation (18)
    (4) reconstruction = -E[log p(x | x_s)],  p(x_i | x_s) ~ q(x_s,i | x_i), normalised over the levels of a pixel

https://arxiv.org/abs/2107.00630, for a fixed schedule.  By (3) the bound depends on the schedule through s and e alone,
and on the denoiser without guidance.  An estimate is unbiased for the bound; unlike the weights of a VAE, several may
only be averaged: the logarithm of a mean of their exponentials is no bound.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.condition import conditioning
from jaxgen.core.image import to_float
from jaxgen.core.types import Array, Networks
from jaxgen.losses import categorical
from jaxgen.losses.likelihood import LEVELS, flat
from jaxgen.models.diffusion.model import Diffusion
from jaxgen.models.diffusion.prediction import per_image
from jaxgen.models.diffusion.schedule import Schedule
from jaxgen.models.diffusion.stochastic import draw_noise

MOST_RATIO = 1e3
"""The sigma / alpha of e, if the schedule reaches it: (2) is then at most 5e-7 nats a pixel."""


class VariationalBound(NamedTuple):
    """The terms of (1) for each image [B], in nats."""

    prior: Array
    diffusion: Array
    reconstruction: Array

    @property
    def nats(self) -> Array:
        """Their sum: an upper bound on the negative log-likelihood, in expectation."""
        return self.prior + self.diffusion + self.reconstruction


def variational_bound(
    model: Diffusion, networks: Networks, *, levels: int = LEVELS, samples: int = 32, separation: float = 8.0
) -> Callable[[Mapping[str, Array], Array], VariationalBound]:
    """A function from a batch and a key for each image [B] to an estimate of (1).

    The batch has images uint8 [B, H, W, C] and the fields of the conditions.  Pixels have 256 levels, or 2 if they are
    black or white, or any number of equal steps; `samples` noise levels, stratified in log SNR, estimate (3).  At s the
    distance between levels is `separation` standard deviations of the noise over alpha: 6 is the paper's log SNR of
    13.3 for 256 levels.  The smaller the noise, the smaller is (4), and the more must the denoiser explain.

    Raises:
      ValueError: no samples, too few or too many levels, or a separation that is not above 0.
    """
    if samples < 1 or not separation > 0:
        raise ValueError(f"{samples} samples and a separation of {separation} were given; expected some, above 0.")
    likelihood, schedule = categorical(levels), model.schedule
    low, high = _log_snr_range(schedule, 2 / (levels - 1) / separation)
    denoiser = model.denoiser(networks)

    def bound(batch: Mapping[str, Array], keys: Array) -> VariationalBound:
        image, condition = to_float(batch["image"]), conditioning(model.conditions, batch)
        offsets, noise_keys, last_keys = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
        offset = jax.vmap(jax.random.uniform)(offsets)

        def integrand(number: Array) -> Array:
            """SNR |x - D|^2 [B] at the noise level of one stratum."""
            t = schedule.time(jnp.exp(-(high + (low - high) * (number + offset) / samples) / 2))
            alpha, sigma = (per_image(values) for values in schedule.coefficients(t))
            noised = alpha * image + sigma * draw_noise(_folded(noise_keys, number), image)
            return flat(jnp.square(alpha / sigma * (image - denoiser(noised, t, *condition)))).sum(-1)

        errors = jax.lax.map(integrand, jnp.arange(samples)).mean(0)
        logits = _level_logits(schedule, jnp.exp(-high / 2), image, draw_noise(last_keys, image), levels)
        return VariationalBound(
            prior=jnp.exp(low) / 2 * flat(jnp.square(image)).sum(-1),
            diffusion=(high - low) / 2 * errors,
            reconstruction=-likelihood.log_prob(logits, batch["image"]),
        )

    return bound


def _log_snr_range(schedule: Schedule, start: float) -> tuple[Array, Array]:
    """The log SNR of e and of s, where sigma / alpha is `start`."""
    end = jnp.minimum(schedule.ratio(jnp.float32(schedule.end)), MOST_RATIO)
    return -2 * jnp.log(end), -2 * jnp.log(jnp.float32(start))


def _level_logits(schedule: Schedule, ratio: Array, image: Array, noise: Array, levels: int) -> Array:
    """The logits [B, H, W, C levels] of (4) at a time of this sigma / alpha, up to a constant."""
    alpha, sigma = schedule.coefficients(schedule.time(ratio))
    noised = image + sigma / alpha * noise
    distance = (noised[..., None] - jnp.linspace(-1.0, 1.0, levels)) * (alpha / sigma)
    return (-jnp.square(distance) / 2).reshape(*image.shape[:-1], -1)


def _folded(keys: Array, number: Array) -> Array:
    """Keys [B], each folded with a number."""
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
