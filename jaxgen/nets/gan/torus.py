"""A generator of textures, of any size and without seams, by convolutions of a map of noise.

Jetchev, Bergmann and Vollgraf (2016), https://arxiv.org/abs/1611.08207, whose latents are a map too; here the
convolutions are circular, so that images are tori.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv, ConvTranspose
from jaxgen.nets.layers.normalization import batch_norm


class TorusGenerator(nn.Module):
    """Maps [B, h, w, z] to tori float32 [B, 2^n h, 2^n w, C] in (-1, 1), with weights that do not depend on h and w.

    The latent [B, Z] of a GAN is such a map, flattened.  It is two positions higher and wider than an image of size
    `spec` needs, and the image is the upper left corner of its torus: the edges of a corner are no neighbours, so that
    a discriminator of corners does not learn that opposite edges match.

    The n `levels` double the sides; the layer next to the image reads `width` channels, each smaller one twice as many.
    A shift of the map by a position shifts the torus by 2^n pixels.
    """

    spec: ImageSpec
    channels: int = 16
    width: int = 32
    levels: int = 3
    dtype: jnp.dtype = jnp.float32

    @property
    def latent_size(self) -> int:
        """The size of the latents that give a corner."""
        height, width = self._map()
        return height * width * self.channels

    @nn.compact
    def __call__(self, latent: Array, *, train: bool) -> Array:
        is_map = latent.ndim == 4
        image = latent if is_map else latent.reshape(-1, *self._map(), self.channels)
        options: Any = {"use_bias": False, "dtype": self.dtype, "wrap": (True, True)}
        normalize = partial(batch_norm, use_running_average=not train, momentum=0.9, dtype=self.dtype)
        image = nn.Dense(self.width << self.levels, use_bias=False, dtype=self.dtype)(image)
        image = Conv(self.width << self.levels, (3, 3), **options)(nn.relu(normalize()(image)))
        for level in reversed(range(self.levels)):
            image = ConvTranspose(self.width << level, (4, 4), (2, 2), **options)(nn.relu(normalize()(image)))
        image = Conv(self.spec.channels, (3, 3), **options | {"use_bias": True})(nn.relu(normalize()(image)))
        image = image if is_map else image[:, : self.spec.height, : self.spec.width]
        return jnp.tanh(image.astype(jnp.promote_types(self.dtype, jnp.float32)))

    def _map(self) -> tuple[int, int]:
        return tuple(-(-side // 2**self.levels) + 2 for side in self.spec[:2])  # pyright: ignore[reportReturnType]
