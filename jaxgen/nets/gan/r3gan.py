"""The networks of R3GAN at any width.  Huang et al. (2024), https://arxiv.org/abs/2501.05441, section 4.

Residual blocks of a 1x1, a grouped 3x3 and a 1x1 convolution, the last initialised to zero (fix-up initialisation);
leaky ReLU; bilinear resampling; no normalisation.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.nets.layers.conditioning import with_condition, with_projection
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.resizing import grouped_conv, halvings, smooth_downsample, smooth_upsample

GROUP = 16
"""The largest number of channels in a group."""


class R3GANGenerator(nn.Module):
    """Latents [B, Z] and perhaps a condition [B, F] to images float32 [B, H, W, C], unbounded."""

    spec: ImageSpec
    width: int = 64
    blocks: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, condition: Array | None = None, *, train: bool) -> Array:
        count = halvings(self.spec)
        sides = self.spec.height >> count, self.spec.width >> count
        width = self.width << (count - 1)
        basis = self.param("basis", nn.initializers.normal(1.0), (*sides, width))
        image = nn.Dense(width, dtype=self.dtype)(with_condition(latent, condition))
        image = image[:, None, None] * basis.astype(self.dtype)
        for level in range(count + 1):
            if level:
                width = self.width << max(count - 1 - level, 0)
                if width != image.shape[-1]:
                    image = Conv(width, (1, 1), use_bias=False, dtype=self.dtype)(image)
                image = smooth_upsample(image)
            for _ in range(self.blocks):
                image = Block((count + 1) * self.blocks, self.dtype)(image)
        return Conv(self.spec.channels, (1, 1), use_bias=False, dtype=self.dtype)(image).astype(jnp.float32)


class R3GANDiscriminator(nn.Module):
    """Images float32 [B, H, W, C] and perhaps a condition [B, F] to logits float32 [B]."""

    width: int = 64
    blocks: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool) -> Array:
        count = halvings(ImageSpec(image.shape[1], image.shape[2], 1))
        image = Conv(self.width, (1, 1), use_bias=False, dtype=self.dtype)(image)
        for level in range(count + 1):
            for _ in range(self.blocks):
                image = Block((count + 1) * self.blocks, self.dtype)(image)
            if level < count:
                image = smooth_downsample(image)
                width = self.width << min(level + 1, count - 1)
                if width != image.shape[-1]:
                    image = Conv(width, (1, 1), use_bias=False, dtype=self.dtype)(image)
        # Each channel is a sum over positions, with weights of its own.
        weights = self.param("basis", nn.initializers.lecun_normal(), image.shape[1:])
        features = (image * weights).sum((1, 2))
        output = nn.Dense(1, dtype=self.dtype)(features).astype(jnp.float32)
        return with_projection(output, features, condition)


class Block(nn.Module):
    """A residual block x + f(x) of [B, H, W, C] with 2C channels inside, in the largest groups of at most 16.

    `scale` is the number of blocks in the network: as in fix-up initialisation, the inner weights are divided by its
    fourth root.
    """

    scale: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array) -> Array:
        features = image.shape[-1]
        inside = 2 * features
        group = next(size for size in range(GROUP, 0, -1) if inside % size == 0)
        initializer = nn.initializers.variance_scaling(2 * self.scale**-0.5, "fan_in", "normal")
        inner = Conv(inside, (1, 1), dtype=self.dtype, kernel_init=initializer)(image)
        kernel = self.param("kernel", initializer, (3, 3, group, inside)).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (inside,)).astype(self.dtype)
        inner = grouped_conv(jax.nn.leaky_relu(inner, 0.2), kernel, inside // group) + bias
        options: Any = {"use_bias": False, "dtype": self.dtype, "kernel_init": nn.initializers.zeros}
        return image + Conv(features, (1, 1), **options)(jax.nn.leaky_relu(inner, 0.2))
