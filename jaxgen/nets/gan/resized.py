"""A generator and a discriminator whose depth follows the size of the image.

The generator doubles the smallest map by repeating pixels before a convolution, which leaves less of a checkerboard
than a transposed convolution: Odena et al. (2016), https://doi.org/10.23915/distill.00003; then a convolution draws the
image at its own size.  Its layers have BatchNorm, and the discriminator's have no normalisation, for gradient
penalties; both have leaky ReLUs and He initialisation.

Maps have `width` channels at the size of the image, twice as many at half its sides, and so on, at most `most`: 64x64
at width 16 has 16, 32, 64, 128, 256 channels on maps of 64, 32, 16, 8, 4 pixels.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.nets.layers.conditioning import with_condition, with_projection
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.normalization import batch_norm
from jaxgen.nets.layers.resized_conv import UpsampleConv
from jaxgen.nets.layers.resizing import halvings

HE = nn.initializers.he_normal()

activate = partial(jax.nn.leaky_relu, negative_slope=0.2)


class ResizedGenerator(nn.Module):
    """Latents [B, Z] and perhaps a condition [B, F] to images float32 [B, H, W, C] in (-1, 1)."""

    spec: ImageSpec
    width: int = 16
    most: int = 256
    hidden: int = 256
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, condition: Array | None = None, *, train: bool) -> Array:
        options: Any = {"use_bias": False, "dtype": self.dtype, "kernel_init": HE}

        def normalized(features: Array) -> Array:
            return activate(batch_norm(use_running_average=not train, momentum=0.9, dtype=self.dtype)(features))

        count = halvings(self.spec)
        widths = [min(self.width << level, self.most) for level in range(count + 1)]
        height, width = self.spec.height >> count, self.spec.width >> count
        features = normalized(nn.Dense(self.hidden, **options)(with_condition(latent, condition)))
        features = nn.Dense(height * width * widths[-1], **options)(features)
        image = normalized(features.reshape(-1, height, width, widths[-1]))
        for channels in reversed(widths[:-1]):
            image = normalized(UpsampleConv(channels, (3, 3), **options)(image))
        image = Conv(self.spec.channels, (3, 3), dtype=self.dtype)(image)
        return jnp.tanh(image.astype(jnp.promote_types(self.dtype, jnp.float32)))


class ResizedDiscriminator(nn.Module):
    """Images float32 [B, H, W, C] in [-1, 1] and perhaps a condition [B, F] to logits float32 [B]."""

    width: int = 16
    most: int = 256
    hidden: int = 256
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool) -> Array:
        options: Any = {"dtype": self.dtype, "kernel_init": HE}
        for level in range(1, halvings(ImageSpec(*image.shape[1:])) + 1):
            image = activate(Conv(min(self.width << level, self.most), (4, 4), (2, 2), **options)(image))
        features = activate(nn.Dense(self.hidden, **options)(image.reshape(image.shape[0], -1)))
        output = nn.Dense(1, **options)(features)
        output = output.astype(jnp.promote_types(self.dtype, jnp.float32))
        return with_projection(output, features, condition)
