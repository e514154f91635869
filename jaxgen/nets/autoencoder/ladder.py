"""Networks of a hierarchical autoencoder with top-down inference.

Sønderby et al. (2016), https://arxiv.org/abs/1602.02282; the residual posterior follows Vahdat and Kautz (2020),
https://arxiv.org/abs/2007.03898, equation (2), with log variances v that are bounded:

    p(z_l | z_<l) = N(m, e^b(v))        q(z_l | z_<l, x) = N(m + dm, e^b(v + dv)),        b(v) = 5 tanh(v / 5)

The first latent is a vector [Z]; groups of maps follow, first at a quarter of the image's sides, then at a half.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.nets.autoencoder.networks import to_map
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.residual import Block
from jaxgen.nets.layers.resizing import enlarge, require_multiple

Features = tuple[Array, Array, Array]
"""An encoder's features: [B, H/2, W/2, F], [B, H/4, W/4, 2F], [B, G]."""

BOUND = 5.0
"""Upper bound on the absolute log variances."""


class Group(NamedTuple):
    """One group of latents [B, ...], and the mean and log variance of its posterior and of its prior."""

    latent: Array
    mean: Array
    log_variance: Array
    prior_mean: Array
    prior_log_variance: Array


class LadderEncoder(nn.Module):
    """Images float32 [B, H, W, C], whose sides are multiples of 4, to float32 features of three sizes."""

    width: int = 32
    blocks: int = 2
    hidden: int = 256
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> Features:
        require_multiple(image.shape[1:3], 4)
        features: list[Any] = []
        for width in (self.width, 2 * self.width):
            image = Conv(width, (4, 4), (2, 2), dtype=self.dtype)(image)
            for _ in range(self.blocks):
                image = Block(dtype=self.dtype)(image)
            features.append(image)
        features.append(nn.Dense(self.hidden, dtype=self.dtype)(jax.nn.gelu(image).reshape(len(image), -1)))
        fine, coarse, top = (feature.astype(jnp.float32) for feature in features)
        return fine, coarse, top


class LadderDecoder(nn.Module):
    """From noise to latents, and from these to a likelihood's parameters float32 [B, H, W, P], the size in `output`.

    `noise` has one standard normal array for each group of latents.  With `features` the latents come from the
    posterior, without from the prior.
    """

    output: ImageSpec
    latent_size: int = 32
    channels: int = 4
    groups: tuple[int, int] = (2, 1)
    width: int = 32
    blocks: int = 2
    hidden: int = 256
    dtype: jnp.dtype = jnp.float32

    @property
    def latents(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the groups of latents."""
        maps = [(self.output.height // factor, self.output.width // factor, self.channels) for factor in (4, 2)]
        return ((self.latent_size,), *[maps[0]] * self.groups[0], *[maps[1]] * self.groups[1])

    @nn.compact
    def __call__(
        self, noise: tuple[Array, ...], features: Features | None = None, *, train: bool
    ) -> tuple[Array, tuple[Group, ...]]:
        require_multiple(self.output[:2], 4)
        fine, coarse, top = features or (None, None, None)
        groups, rest = [first(noise[0], top, self.dtype)], iter(noise[1:])
        hidden = jax.nn.gelu(nn.Dense(self.hidden, dtype=self.dtype)(groups[0].latent))
        image = to_map(hidden, self.output, 4, 2 * self.width, self.dtype)
        for seen, count, width in ((coarse, self.groups[0], self.width), (fine, self.groups[1], self.output.channels)):
            for _ in range(count):
                image, group = Rung(self.channels, self.dtype)(image, next(rest), seen)
                groups.append(group)
            for _ in range(self.blocks):
                image = Block(dtype=self.dtype)(image)
            image = enlarge(Conv(4 * width, (3, 3), dtype=self.dtype)(jax.nn.gelu(image)))
        return image.astype(jnp.float32), tuple(groups)


class Rung(nn.Module):
    """Draws a group of latent maps and adds its projection to the maps [B, H, W, F]; returns both."""

    channels: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, image: Array, noise: Array, features: Array | None) -> tuple[Array, Group]:
        def conv(channels: int, **options: Any) -> Conv:
            return Conv(channels, (3, 3), dtype=self.dtype, **options)

        size, zero = 2 * self.channels, {"kernel_init": nn.initializers.zeros}
        image = Block(dtype=self.dtype)(image)
        prior = conv(size, **zero)(jax.nn.gelu(image))
        change = None
        if features is not None:
            both = jnp.concatenate([image, features.astype(self.dtype)], axis=-1)
            hidden = conv(image.shape[-1], name="posterior_hidden")(jax.nn.gelu(both))
            change = conv(size, name="posterior", **zero)(jax.nn.gelu(hidden))
        group = drawn(noise, prior, change)
        return image + conv(image.shape[-1], use_bias=False)(group.latent), group


def first(noise: Array, features: Array | None, dtype: jnp.dtype) -> Group:
    """The topmost group of latents, whose prior is standard normal."""
    prior = jnp.zeros((*noise.shape[:-1], 2 * noise.shape[-1]))
    change = None
    if features is not None:
        change = nn.Dense(prior.shape[-1], dtype=dtype, name="posterior")(jax.nn.gelu(features))
    return drawn(noise, prior, change)


def drawn(noise: Array, prior: Array, change: Array | None) -> Group:
    """A group of latents by reparameterisation of noise.

    `prior` has the prior's means and log variances [..., 2Z]; the posterior's are `prior + change`, or the prior's.
    """
    prior_mean, prior_log_variance = jnp.split(prior.astype(jnp.float32), 2, axis=-1)
    mean, log_variance = prior_mean, prior_log_variance
    if change is not None:
        mean_change, log_variance_change = jnp.split(change, 2, axis=-1)
        mean, log_variance = mean + mean_change, log_variance + log_variance_change
    log_variance, prior_log_variance = bounded(log_variance), bounded(prior_log_variance)
    latent = mean + jnp.exp(log_variance / 2) * noise
    return Group(latent, mean, log_variance, prior_mean, prior_log_variance)


def bounded(log_variance: Array) -> Array:
    """A log variance bounded to (-5, 5), so that no sample overflows; nearly the identity around 0."""
    return BOUND * jnp.tanh(log_variance / BOUND)
