"""Encoders and decoders of variational autoencoders.

An encoder takes images float32 [B, H, W, C] in [-1, 1] to the mean and the log variance [B, Z] of its latents; a
decoder takes latents [B, Z] to the parameters [B, H, W, P] of a likelihood, float32.  Both take an optional condition
[B, F] as second input.

    MLP          dense layers, two of 200 as in Burda et al. (2016), https://arxiv.org/abs/1509.00519
    Conv         convolutions with BatchNorm; max pooling in the encoder, upsampling in the decoder
    Residual     residual blocks without normalisation, whose last layer is initialised to zero
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.nets.layers.conditioning import with_condition
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.normalization import batch_norm
from jaxgen.nets.layers.residual import Block
from jaxgen.nets.layers.resized_conv import UpsampleConv
from jaxgen.nets.layers.resizing import enlarge, max_pool, require_multiple

Activation = Callable[[Array], Array]
MeanAndLogVariance = tuple[Array, Array]
"""Mean and log variance, float32 [B, Z]."""


class MLPEncoder(nn.Module):
    """Dense layers from images [B, H, W, C] of any size."""

    latent_size: int
    hidden: tuple[int, ...] = (200, 200)
    activation: Activation = jnp.tanh
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool) -> MeanAndLogVariance:
        # Scaled to [0, 1]: hundreds of black pixels at -1 would saturate every unit of the first layer.
        features = with_condition((image.reshape(image.shape[0], -1) + 1) / 2, condition)
        for size in self.hidden:
            features = self.activation(nn.Dense(size, dtype=self.dtype)(features))
        return posterior(features, self.latent_size, self.dtype)


class MLPDecoder(nn.Module):
    """Dense layers from latents [B, Z] to [B, H, W, P], the size in `output`."""

    output: ImageSpec
    hidden: tuple[int, ...] = (200, 200)
    activation: Activation = jnp.tanh
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, condition: Array | None = None, *, train: bool) -> Array:
        features = with_condition(latent, condition)
        for size in self.hidden:
            features = self.activation(nn.Dense(size, dtype=self.dtype)(features))
        height, width, num_params = self.output
        output = nn.Dense(height * width * num_params, dtype=self.dtype)(features)
        return output.reshape(-1, height, width, num_params).astype(jnp.float32)


class ConvEncoder(nn.Module):
    """From images [B, H, W, C] with sides that are multiples of 4, downsampled twice by pooling."""

    latent_size: int = 256
    width: int = 32
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool) -> MeanAndLogVariance:
        require_multiple(image.shape[1:3], 4)
        for width in (self.width, 2 * self.width):
            image = Conv(width, (3, 3), use_bias=False, dtype=self.dtype)(image)
            image = nn.relu(batch_norm(use_running_average=not train, momentum=0.9, dtype=self.dtype)(image))
            image = max_pool(image)
        features = with_condition(image.reshape(image.shape[0], -1), condition)
        return posterior(features, self.latent_size, self.dtype)


class ConvDecoder(nn.Module):
    """From latents [B, Z] to [B, H, W, P], the size in `output`, upsampled twice."""

    output: ImageSpec
    width: int = 32
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, condition: Array | None = None, *, train: bool) -> Array:
        require_multiple(self.output[:2], 4)
        normalize = partial(batch_norm, use_running_average=not train, momentum=0.9, dtype=self.dtype)
        image = to_map(with_condition(latent, condition), self.output, 4, 2 * self.width, self.dtype)
        for width in (2 * self.width, self.width):
            image = UpsampleConv(width, (3, 3), use_bias=False, dtype=self.dtype)(image)
            image = nn.relu(normalize()(image))
        return Conv(self.output.channels, (3, 3), dtype=self.dtype)(image).astype(jnp.float32)


class ResidualEncoder(nn.Module):
    """From images [B, H, W, C] with sides that are multiples of 2^levels: strided convolutions and residual blocks."""

    latent_size: int
    width: int = 32
    blocks: int = 2
    hidden: int = 256
    levels: int = 2
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool) -> MeanAndLogVariance:
        require_multiple(image.shape[1:3], 2**self.levels)
        for level in range(self.levels):
            image = Conv(channels(self.width, level), (4, 4), (2, 2), dtype=self.dtype)(image)
            for _ in range(self.blocks):
                image = Block(dtype=self.dtype)(image)
        features = with_condition(jax.nn.gelu(image).reshape(image.shape[0], -1), condition)
        features = jax.nn.gelu(nn.Dense(self.hidden, dtype=self.dtype)(features))
        return posterior(features, self.latent_size, self.dtype)


class ResidualDecoder(nn.Module):
    """From latents [B, Z] to [B, H, W, P], the size in `output`: residual blocks, upsampled by depth to space."""

    output: ImageSpec
    width: int = 32
    blocks: int = 2
    hidden: int = 256
    levels: int = 2
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, condition: Array | None = None, *, train: bool) -> Array:
        require_multiple(self.output[:2], 2**self.levels)
        features = jax.nn.gelu(nn.Dense(self.hidden, dtype=self.dtype)(with_condition(latent, condition)))
        *widths, last = [self.output.channels, *(channels(self.width, level) for level in range(self.levels))]
        image = to_map(features, self.output, 2**self.levels, last, self.dtype)
        for width in reversed(widths):
            for _ in range(self.blocks):
                image = Block(dtype=self.dtype)(image)
            image = enlarge(Conv(4 * width, (3, 3), dtype=self.dtype)(jax.nn.gelu(image)))
        return image.astype(jnp.float32)


def channels(width: int, level: int) -> int:
    """The channels of a residual network's maps: twice as many at half the size, at most eight times `width`."""
    return width << min(level, 3)


def posterior(features: Array, latent_size: int, dtype: jnp.dtype) -> MeanAndLogVariance:
    """The mean and the log variance [B, Z], by one dense layer each."""
    mean, log_variance = (nn.Dense(latent_size, dtype=dtype)(features) for _ in range(2))
    return mean.astype(jnp.float32), log_variance.astype(jnp.float32)


def to_map(features: Array, output: ImageSpec, factor: int, width: int, dtype: jnp.dtype) -> Array:
    """Features [B, F] to a map [B, H / factor, W / factor, width], by a dense layer."""
    sides = output.height // factor, output.width // factor
    return nn.Dense(sides[0] * sides[1] * width, dtype=dtype)(features).reshape(-1, *sides, width)
