"""The deep convolutional GAN.  Radford, Metz and Chintala (2016), https://arxiv.org/abs/1511.06434.

The networks halve or double maps between the image and the smallest map, which has a side that is odd or 4:
28 -> 14 -> 7, 64 -> 32 -> 16 -> 8 -> 4, 96x64 -> 48x32 -> 24x16 -> 12x8 -> 6x4.  The layer next to the image has
`width` channels and each smaller layer twice as many, at most `most` if that is given: 64x64x3 at width 64 is the
paper's 100 -> 512 -> 256 -> 128 -> 64 -> 3.

`hidden` adds a dense layer of that many features between the latent and the first map, and between the last map and
the logit, as in InfoGAN's networks for MNIST (1,024).  Chen et al. (2016), https://arxiv.org/abs/1606.03657, table 1.

The generator concatenates a condition [B, F] to the latent.  The discriminator takes it by projection (Miyato and
Koyama (2018), https://arxiv.org/abs/1802.05637, equation (3)) or as an additional channel of the image.
"""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.nets.layers.conditioning import with_condition, with_projection
from jaxgen.nets.layers.conv import Conv, ConvTranspose
from jaxgen.nets.layers.normalization import ConditionalBatchNorm, batch_norm
from jaxgen.nets.layers.resizing import halvings

NORMAL = nn.initializers.normal(0.02)
"""The paper's initialisation."""


class DCGANGenerator(nn.Module):
    """Latents [B, Z] and perhaps a condition [B, F] to images float32 [B, H, W, C] in (-1, 1).

    With `conditional_norm` the BatchNorm layers are conditional too.
    """

    spec: ImageSpec
    width: int = 64
    hidden: int = 0
    conditional_norm: bool = False
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = NORMAL
    most: int | None = None

    @nn.compact
    def __call__(self, latent: Array, condition: Array | None = None, *, train: bool) -> Array:
        options: Any = {"use_bias": False, "dtype": self.dtype, "kernel_init": self.kernel_init}
        normalize = partial(batch_norm, use_running_average=not train, momentum=0.9, dtype=self.dtype)
        latent = with_condition(latent, condition)
        if self.conditional_norm and condition is not None:
            normalize = lambda: partial(ConditionalBatchNorm(train, self.dtype), condition=condition)  # noqa: E731
        count = halvings(self.spec)
        height, width = self.spec.height >> count, self.spec.width >> count
        widths = _widths(self.width, self.most, count)
        if self.hidden:
            latent = nn.relu(normalize()(nn.Dense(self.hidden, **options)(latent)))
        image = nn.Dense(height * width * widths[-1], **options)(latent).reshape(-1, height, width, widths[-1])
        for features in (*reversed(widths[:-1]), self.spec.channels):
            image = ConvTranspose(features, (4, 4), (2, 2), **options)(nn.relu(normalize()(image)))
        return jnp.tanh(image.astype(jnp.promote_types(self.dtype, jnp.float32)))


class DCGANDiscriminator(nn.Module):
    """Images float32 [B, H, W, C] in [-1, 1] and perhaps a condition [B, F] to logits float32 [B].

    With `auxiliary` A the outputs are [B, 1 + A]: the logit, then A outputs such as class scores; a condition is then
    ignored.  `normalize` applies the paper's BatchNorm to all convolutions but the first.  Turn it off for gradient
    penalties: the layers then have biases instead.

    Raises:
      ValueError: there is no such `conditioning`.
    """

    width: int = 64
    hidden: int = 0
    normalize: bool = True
    conditioning: Literal["projection", "concatenation"] = "projection"
    auxiliary: int = 0
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = NORMAL
    most: int | None = None

    @nn.compact
    def __call__(self, image: Array, condition: Array | None = None, *, train: bool) -> Array:
        if self.conditioning not in ("projection", "concatenation"):
            raise ValueError(f"conditioning={self.conditioning!r}; expected 'projection' or 'concatenation'.")
        if condition is not None and self.conditioning == "concatenation" and not self.auxiliary:
            channel = nn.Dense(image.shape[1] * image.shape[2])(condition).reshape(*image.shape[:3], 1)
            image, condition = jnp.concatenate([image, channel], axis=-1), None
        options: Any = {"use_bias": not self.normalize, "dtype": self.dtype, "kernel_init": self.kernel_init}
        count = halvings(ImageSpec(image.shape[1], image.shape[2], 1))
        for level, features in enumerate(_widths(self.width, self.most, count)):
            image = Conv(features, (4, 4), (2, 2), **options)(image)
            if self.normalize and level:
                image = batch_norm(use_running_average=not train, momentum=0.9, dtype=self.dtype)(image)
            image = jax.nn.leaky_relu(image, 0.2)
        features = image.reshape(image.shape[0], -1)
        if self.hidden:
            features = jax.nn.leaky_relu(nn.Dense(self.hidden, **options | {"use_bias": True})(features), 0.2)
        output = nn.Dense(1 + self.auxiliary, **options)(features)
        output = output.astype(jnp.promote_types(self.dtype, jnp.float32))
        return with_projection(output, features, condition)


def _widths(width: int, most: int | None, count: int) -> list[int]:
    """The channels of the layers, from the one next to the image on."""
    return [min(width << level, most or width << level) for level in range(count)]
