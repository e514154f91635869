"""Residual networks of GANs.  Gulrajani et al. (2017), https://arxiv.org/abs/1704.00028; with spectral normalisation
Miyato et al. (2018), https://arxiv.org/abs/1802.05957, table 4.

The generator doubles a small map, with BatchNorm and ReLU before each convolution.  The discriminator has four blocks,
of which the first two halve the image, or five that all do if both sides are above 32 pixels; it ends in a sum over
positions.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.nets.layers.conditioning import with_projection
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.normalization import ConditionalBatchNorm, batch_norm
from jaxgen.nets.layers.resized_conv import ConvMeanPool, UpsampleConv
from jaxgen.nets.layers.resizing import halvings, mean_pool, upsample

GLOROT = nn.initializers.glorot_uniform()


class ResidualGenerator(nn.Module):
    """Latents [B, Z] and perhaps a condition [B, F] to images float32 [B, H, W, C] in (-1, 1).

    The BatchNorm layers of the blocks are conditional.
    """

    spec: ImageSpec
    width: int = 256
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, condition: Array | None = None, *, train: bool) -> Array:
        options: Any = {"dtype": self.dtype, "kernel_init": GLOROT}
        plain = partial(batch_norm, use_running_average=not train, momentum=0.9, dtype=self.dtype)

        def normalize(image: Array) -> Array:
            if condition is None:
                return plain()(image)
            return ConditionalBatchNorm(train, self.dtype)(image, condition)

        count = halvings(self.spec)
        sides = self.spec.height >> count, self.spec.width >> count
        image = nn.Dense(sides[0] * sides[1] * self.width, **options)(latent)
        image = image.reshape(-1, *sides, self.width)
        for _ in range(count):
            inner = UpsampleConv(self.width, (3, 3), **options)(nn.relu(normalize(image)))
            inner = nn.relu(normalize(inner))
            inner = Conv(self.width, (3, 3), **options)(inner)
            # A 1x1 convolution commutes with repeating pixels: on the small map it is cheaper.
            image = inner + upsample(Conv(self.width, (1, 1), **options)(image))
        image = nn.relu(plain()(image))
        return jnp.tanh(Conv(self.spec.channels, (3, 3), **options)(image).astype(jnp.float32))


class ResidualDiscriminator(nn.Module):
    """Images float32 [B, H, W, C] and perhaps a condition [B, F] to logits float32 [B].

    With `auxiliary` A the outputs are [B, 1 + A]: the logit, then A outputs such as class scores.  `spectral` divides
    each layer's weights by their largest singular value.
    """

    width: int = 128
    spectral: bool = True
    auxiliary: int = 0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool) -> Array:
        options: Any = {"dtype": self.dtype, "kernel_init": GLOROT}
        layer = partial(normalized, spectral=self.spectral, train=train)
        small = min(image.shape[1:3]) <= 32
        for level in range(4 if small else 5):
            halve = level < 2 or not small
            inner = image if level == 0 else nn.relu(image)
            inner = nn.relu(layer(Conv(self.width, (3, 3), **options))(inner))
            last = ConvMeanPool if halve else Conv
            inner = layer(last(self.width, (3, 3), **options))(inner)
            if image.shape[-1] != self.width or halve:
                # A 1x1 convolution commutes with the mean over pixels: on the small map it is cheaper.
                image = layer(Conv(self.width, (1, 1), **options))(halved(image) if halve else image)
            image += inner
        features = nn.relu(image).sum((1, 2))
        output = layer(nn.Dense(1 + self.auxiliary, **options))(features)
        return with_projection(output.astype(jnp.float32), features, condition, layer)


def halved(image: Array) -> Array:
    """The mean of each two by two pixels, without a last odd row or column."""
    return mean_pool(image[:, : image.shape[1] // 2 * 2, : image.shape[2] // 2 * 2])


def normalized(layer: nn.Module, *, spectral: bool, train: bool) -> Callable[[Array], Array]:
    """The layer, with spectral normalisation of its weights if `spectral`.

    Each training pass makes one step of power iteration; the vectors are in the collection "batch_stats".
    """
    return partial(nn.SpectralNorm(layer), update_stats=train) if spectral else layer
