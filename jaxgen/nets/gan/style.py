"""A compact style-based generator.  Karras et al. (2020), https://arxiv.org/abs/1912.04958.

    (1) mapping       w = f(z / rms(z)),   rms(z)^2 = mean_i z_i^2
    (2) modulation    k'_ijab = s_a k_ijab,   s = A w + c              (a: channel in, b: channel out; c = 1 at first)
    (3) demodulation  k''_ijab = k'_ijab / sqrt(sum_ija k'_ijab^2)

Each layer is modulated by w and adds noise of its own; the output image is a sum over resolutions (skip outputs).
Coarse layers determine the content and fine layers the style, so that different w control them separately.

The latent [B, Z] holds everything random, so that an image is a function of its latent: two z, the layer at which
training switches from the first style to the second (style mixing), and the noise of each pixel of each layer.
"""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.nets.layers.conditioning import with_condition
from jaxgen.nets.layers.conv import conv
from jaxgen.nets.layers.resizing import halvings, smooth_upsample

MIXED = 0.9
"""The probability of style mixing in training."""


class StyleGenerator(nn.Module):
    """Latents [B, latent_size] and perhaps a condition [B, F] to images float32 [B, H, W, C], unbounded.

    The method `styles` maps z to w float32 [B, L, W], one for each of L layers, and `synthesize` maps w to images.  The
    maps at the two largest sizes have `width` channels, those at each smaller size twice as many.
    """

    spec: ImageSpec
    width: int = 32
    style_size: int = 64
    depth: int = 3
    dtype: jnp.dtype = jnp.float32

    @property
    def sides(self) -> list[tuple[int, int]]:
        """Height and width of each layer's map, L of them."""
        count = halvings(self.spec)
        levels = [(self.spec.height >> level, self.spec.width >> level) for level in reversed(range(count + 1))]
        return [levels[0], *(side for side in levels[1:] for _ in range(2))]

    @property
    def latent_size(self) -> int:
        """The latent dimension: two z, the layer at which styles switch, the noise of each pixel of each layer."""
        return 2 * self.style_size + 1 + sum(map(math.prod, self.sides))

    def setup(self):
        widths = [self.width * math.ceil(self.spec.height / side / 2) for side, _ in self.sides]
        self.mapping = Mapping(self.style_size, self.depth)
        self.constant = self.param("constant", nn.initializers.normal(1.0), (*self.sides[0], widths[0]))
        self.layers = [StyledConv(width, dtype=self.dtype) for width in widths]
        output = partial(StyledConv, self.spec.channels, taps=1, demodulate=False, dtype=self.dtype)
        self.outputs = [output() for _ in range(len(widths) // 2 + 1)]

    def __call__(self, latent: Array, condition: Array | None = None, *, train: bool) -> Array:
        first, second, place, _ = self.parts(latent)
        styles = self.styles(first, condition)
        if train:
            # The normal distribution function makes `place` uniform; above MIXED there is one style.
            share = jax.scipy.stats.norm.cdf(place) / MIXED
            first_layers = jnp.where(share < 1, 1 + jnp.floor(share * (len(self.sides) - 1)), len(self.sides))
            is_first = jnp.arange(len(self.sides)) < first_layers
            styles = jnp.where(is_first[..., None], styles, self.styles(second, condition))
        return self.synthesize(styles, latent)

    def parts(self, latent: Array) -> tuple[Array, Array, Array, Array]:
        """The two z [B, W], the place [B, 1] where styles switch, and the noise [B, P] in a latent."""
        size = self.style_size
        first, second, place, noise = jnp.split(latent, [size, 2 * size, 2 * size + 1], axis=-1)
        return first, second, place, noise

    def styles(self, z: Array, condition: Array | None = None) -> Array:
        """The w [B, L, W] of z [B, W], the same for all layers."""
        w = self.mapping(z, condition)
        return jnp.broadcast_to(w[:, None], (w.shape[0], len(self.sides), w.shape[-1]))

    def synthesize(self, styles: Array, latent: Array) -> Array:
        """Images of w [B, L, W], with the noise of latents [B, latent_size]."""
        noise, start = self.parts(latent)[-1], 0
        map_ = jnp.broadcast_to(self.constant, (latent.shape[0], *self.constant.shape))
        image = jnp.zeros((latent.shape[0], *self.sides[0], self.spec.channels))
        for number, (layer, side) in enumerate(zip(self.layers, self.sides, strict=True)):
            if number % 2 == 1:
                map_, image = smooth_upsample(map_), smooth_upsample(image)
            pixels = math.prod(side)
            map_ = layer(map_, styles[:, number], noise[:, start : start + pixels].reshape(-1, *side, 1))
            start += pixels
            if number % 2 == 0:
                image += self.outputs[number // 2](map_, styles[:, number])
        return image


class Mapping(nn.Module):
    """z [B, Z] and perhaps a condition [B, F] to w [B, W], by (1)."""

    size: int
    depth: int

    def setup(self):
        self.dense = [nn.Dense(self.size, kernel_init=nn.initializers.he_normal()) for _ in range(self.depth)]

    def __call__(self, z: Array, condition: Array | None = None) -> Array:
        features = z * jax.lax.rsqrt(jnp.square(z).mean(-1, keepdims=True) + 1e-8)
        features = with_condition(features, condition)
        for dense in self.dense:
            features = jax.nn.leaky_relu(dense(features), 0.2)
        return features


class StyledConv(nn.Module):
    """A convolution of [B, H, W, C] whose weights are modulated by w [B, W] and demodulated, (2) and (3).

    With noise [B, H, W, 1] it adds the noise, scaled by a learned strength, and ends in a leaky ReLU.  Without noise
    the output is linear and float32.
    """

    features: int
    taps: int = 3
    demodulate: bool = True
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Array, w: Array, noise: Array | None = None) -> Array:
        channels = image.shape[-1]
        initializer = nn.initializers.variance_scaling(2.0 if self.demodulate else 0.1, "fan_in", "normal")
        kernel = self.param("kernel", initializer, (self.taps, self.taps, channels, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        scale = nn.Dense(channels, bias_init=nn.initializers.ones, name="style")(w)
        # Scaling maps before and after one convolution equals a convolution with weights of each image's own.
        image = conv((image * scale[:, None, None]).astype(self.dtype), kernel.astype(self.dtype))
        if self.demodulate:
            squares = jnp.square(scale) @ jnp.square(kernel).sum((0, 1))
            image *= jax.lax.rsqrt(squares + 1e-8)[:, None, None]
        if noise is None:
            return image + bias
        image += self.param("strength", nn.initializers.zeros, ()) * noise
        return (math.sqrt(2) * jax.nn.leaky_relu(image + bias, 0.2)).astype(self.dtype)
