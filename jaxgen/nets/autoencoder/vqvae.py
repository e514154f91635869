"""Networks between images and maps of vectors, with a quarter of the image's sides.

They are those of a VQ-VAE: van den Oord et al. (2017), https://arxiv.org/abs/1711.00937, section 4.1.  `MapPosterior`
and `FromMap` turn them into the encoder and the decoder of a VAE.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.residual import Block
from jaxgen.nets.layers.resizing import enlarge, require_multiple


class MapEncoder(nn.Module):
    """From images float32 [B, H, W, C] with sides that are multiples of 4 to vectors float32 [B, H/4, W/4, E]."""

    vector_size: int = 64
    width: int = 64
    blocks: int = 2
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> Array:
        require_multiple(image.shape[1:3], 4)
        image = Conv(self.width // 2, (4, 4), (2, 2), dtype=self.dtype)(image)
        image = Conv(self.width, (4, 4), (2, 2), dtype=self.dtype)(jax.nn.gelu(image))
        for _ in range(self.blocks):
            image = Block(dtype=self.dtype)(image)
        return Conv(self.vector_size, (1, 1), dtype=self.dtype)(jax.nn.gelu(image)).astype(jnp.float32)


class MapDecoder(nn.Module):
    """From vectors [B, H/4, W/4, E] to a likelihood's parameters float32 [B, H, W, P], the size in `output`."""

    output: ImageSpec
    width: int = 64
    blocks: int = 2
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, vectors: Array, *, train: bool) -> Array:
        image = Conv(self.width, (3, 3), dtype=self.dtype)(vectors)
        for _ in range(self.blocks):
            image = Block(dtype=self.dtype)(image)
        for width in (self.width // 2, self.output.channels):
            image = enlarge(Conv(4 * width, (3, 3), dtype=self.dtype)(jax.nn.gelu(image)))
        return image.astype(jnp.float32)


class MapPosterior(nn.Module):
    """A VAE's encoder from one of maps [B, h, w, 2 E]: the mean and the log variance of latents [B, h w E]."""

    encoder: nn.Module

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> tuple[Array, Array]:
        mean, log_variance = jnp.split(self.encoder(image, train=train), 2, axis=-1)
        return mean.reshape(image.shape[0], -1), log_variance.reshape(image.shape[0], -1)


class FromMap(nn.Module):
    """A VAE's decoder of latents [B, h w E] from one of maps [B, h, w, E], the size in `maps`."""

    decoder: nn.Module
    maps: ImageSpec

    @nn.compact
    def __call__(self, latent: Array, *, train: bool) -> Array:
        return self.decoder(latent.reshape(-1, *self.maps), train=train)
