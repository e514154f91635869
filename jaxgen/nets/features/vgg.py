"""VGG16 as a feature network: Simonyan and Zisserman (2015), https://arxiv.org/abs/1409.1556, configuration D.

Perceptual losses and style transfer by optimisation use its feature maps.
"""

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.resizing import max_pool

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of each block; pooling halves height and width between blocks."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's mean and standard deviation of red, green and blue in [0, 1]."""


class VGG16(nn.Module):
    """Images float32 [B, H, W, 1 or 3] in [-1, 1] to the last feature map of each of the five blocks.

    Map l is [B, H / 2^l, W / 2^l, C_l], rounded down, with C = 64, 128, 256, 512, 512; H and W are at least 16.
    """

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> tuple[Array, ...]:
        colour = jnp.broadcast_to(image, (*image.shape[:3], 3))
        features = ((colour + 1) / 2 - jnp.array(MEAN)) / jnp.array(DEVIATION)
        maps = []
        for block, (channels, convolutions) in enumerate(BLOCKS, start=1):
            if maps:
                features = max_pool(features[:, : features.shape[1] // 2 * 2, : features.shape[2] // 2 * 2])
            for number in range(1, convolutions + 1):
                features = nn.relu(Conv(channels, (3, 3), name=f"conv{block}_{number}")(features))
            maps.append(features)
        return tuple(maps)
