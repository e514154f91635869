"""A joint embedding of images and captions, after CLIP: Radford et al. (2021), https://arxiv.org/abs/2103.00020, for
small images.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv
from jaxgen.nets.layers.text import TextEncoder


class Matching(nn.Module):
    """Images float32 [B, H, W, C] and tokens int32 [B, T] to features float32 [B, size] of unit norm for each, and the
    temperature float32 [] of their similarities.
    """

    vocabulary: int
    size: int = 64
    width: int = 32

    def setup(self) -> None:
        self.words = TextEncoder(self.vocabulary, self.size)
        he_normal = nn.initializers.he_normal()
        self.convolutions = [Conv(self.width << level, (4, 4), (2, 2), kernel_init=he_normal) for level in range(3)]
        self.last = nn.Dense(self.size)
        self.logarithm = self.param("temperature", nn.initializers.constant(jnp.log(0.1)), ())

    def __call__(self, image: Array, tokens: Array, *, train: bool) -> tuple[Array, Array, Array]:
        for convolution in self.convolutions:
            image = jax.nn.leaky_relu(convolution(image), 0.2)
        features = self.last(image.reshape(len(image), -1))
        temperature = jnp.exp(jnp.maximum(self.logarithm, jnp.log(0.01)))  # as in the paper, section 2.5
        return normed(features), normed(self.words(tokens, train=train)), temperature


def normed(features: Array) -> Array:
    """Features [B, F] scaled to unit norm; zeros stay zeros."""
    return features * jax.lax.rsqrt(jnp.square(features).sum(-1, keepdims=True) + 1e-12)
