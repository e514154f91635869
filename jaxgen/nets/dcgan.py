"""The deep convolutional GAN.  Radford, Metz and Chintala (2016), https://arxiv.org/abs/1511.06434.

An image is halved until a side is odd or 4: 28 -> 14 -> 7, 64 -> 32 -> 16 -> 8 -> 4.  The layer below the image has
`width` channels and each layer below that twice as many, so that 64x64x3 at width 64 is the paper's
100 -> 512 -> 256 -> 128 -> 64 -> 3.

`hidden` puts a dense layer of that many features between the latent and the first map, and between the last map and
the logit, as InfoGAN's MNIST networks do (1,024).  Chen et al. (2016), https://arxiv.org/abs/1606.03657, table 1.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.image import ImageSpec
from jaxgen.nets.conv import Conv, ConvTranspose
from jaxgen.nets.normalization import batch_norm
from jaxgen.types import Array

NORMAL = nn.initializers.normal(0.02)
"""The paper's initialisation."""


def halvings(spec: ImageSpec) -> int:
    """How often an image is halved.

    Raises:
      InputError: a side is no multiple of 4 or not from 28 to 128, or the channels are not 1 or 3.

    >>> halvings(ImageSpec(28, 28, 1)), halvings(ImageSpec(64, 64, 3))
    (2, 4)
    """
    for side in (spec.height, spec.width):
        if side % 4 or not 28 <= side <= 128:
            raise InputError(f"A DCGAN draws images whose sides are multiples of 4 from 28 to 128; got {side}.")
    if spec.channels not in (1, 3):
        raise InputError(f"A DCGAN draws images of 1 or 3 channels; got {spec.channels}.")
    count, height, width = 0, spec.height, spec.width
    while height % 2 == 0 and width % 2 == 0 and min(height, width) > 4:
        count, height, width = count + 1, height // 2, width // 2
    return count


class DCGANGenerator(nn.Module):
    """Latents [B, Z] to images float32 [B, H, W, C] in (-1, 1)."""

    spec: ImageSpec
    width: int = 64
    hidden: int = 0
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = NORMAL

    @nn.compact
    def __call__(self, latent: Array, *, train: bool) -> Array:
        options: Any = {"use_bias": False, "dtype": self.dtype, "kernel_init": self.kernel_init}
        normalize = partial(batch_norm, use_running_average=not train, momentum=0.9, dtype=self.dtype)
        count = halvings(self.spec)
        height, width = self.spec.height >> count, self.spec.width >> count
        features = self.width << (count - 1)
        if self.hidden:
            latent = nn.relu(normalize()(nn.Dense(self.hidden, **options)(latent)))
        image = nn.Dense(height * width * features, **options)(latent).reshape(-1, height, width, features)
        for level in reversed(range(count)):
            features = self.width << (level - 1) if level else self.spec.channels
            image = ConvTranspose(features, (4, 4), (2, 2), **options)(nn.relu(normalize()(image)))
        return jnp.tanh(image.astype(jnp.promote_types(self.dtype, jnp.float32)))


class DCGANDiscriminator(nn.Module):
    """Images float32 [B, H, W, C] in [-1, 1] to logits float32 [B].

    `normalize` is the paper's BatchNorm in all layers but the first; a gradient penalty wants none, and gets biases.
    """

    width: int = 64
    hidden: int = 0
    normalize: bool = True
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = NORMAL

    @nn.compact
    def __call__(self, image: Array, *, train: bool) -> Array:
        options: Any = {"use_bias": not self.normalize, "dtype": self.dtype, "kernel_init": self.kernel_init}
        for level in range(halvings(ImageSpec(*image.shape[1:]))):
            image = Conv(self.width << level, (4, 4), (2, 2), **options)(image)
            if self.normalize and level:
                image = batch_norm(use_running_average=not train, momentum=0.9, dtype=self.dtype)(image)
            image = jax.nn.leaky_relu(image, 0.2)
        features = image.reshape(len(image), -1)
        if self.hidden:
            features = jax.nn.leaky_relu(nn.Dense(self.hidden, **options | {"use_bias": True})(features), 0.2)
        logits = nn.Dense(1, **options)(features)
        return logits.astype(jnp.promote_types(self.dtype, jnp.float32))[:, 0]
