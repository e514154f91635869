"""The diffusion transformer.  Peebles and Xie (2023), https://arxiv.org/abs/2212.09748.

An image is cut into patches, which are the tokens of a transformer.  With c an embedding of the noise level and of the
condition, and norm a layer normalisation without parameters, a block is ("adaLN-Zero", section 3.2)

    (1) x <- x + g_1 attention(norm(x) (1 + a_1) + b_1)
    (2) x <- x + g_2 mlp(norm(x) (1 + a_2) + b_2),         (a_1, b_1, g_1, a_2, b_2, g_2) = W silu(c), W = 0 at first

so that every block is the identity at first.  The blocks are scanned: compile time does not grow with their number.
"""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array
from jaxgen.nets.diffusion.embedding import sinusoids

HEAD_SIZE = 64
ZEROS = nn.initializers.zeros


class Block(nn.Module):
    """The block (1) and (2)."""

    width: int
    heads: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, tokens: Array, embedding: Array) -> tuple[Array, None]:
        dense = partial(nn.Dense, dtype=self.dtype)
        modulation = dense(6 * self.width, kernel_init=ZEROS)(embedding)[:, None]
        a_1, b_1, g_1, a_2, b_2, g_2 = jnp.split(modulation, 6, axis=-1)
        shape = (*tokens.shape[:2], self.heads, self.width // self.heads)
        queries, keys, values = (
            part.reshape(shape)
            for part in jnp.split(dense(3 * self.width)(normalized(tokens) * (1 + a_1) + b_1), 3, -1)
        )
        attended = jax.nn.dot_product_attention(queries, keys, values).reshape(tokens.shape)
        tokens += g_1 * dense(self.width)(attended)
        hidden = jax.nn.gelu(dense(4 * self.width)(normalized(tokens) * (1 + a_2) + b_2))
        return tokens + g_2 * dense(self.width)(hidden), None


class DiT(nn.Module):
    """Images [B, H, W, C], a condition [B, F] and noise levels [B] to outputs float32 [B, H, W, C].

    The sides of images are padded to multiples of `patch`.  Heads have 64 features, more where 64 does not divide
    `width`, and all if `width` is less.

    With `intervals` it takes an `interval` [B] of time besides, 0 if there is none, as MeanFlow needs: Geng et al.
    (2025), https://arxiv.org/abs/2505.13447.  `fastest` is the largest angular frequency of the embeddings of both; a
    loss that differentiates by time needs a small one.
    """

    patch: int = 7
    width: int = 192
    blocks: int = 3
    intervals: bool = False
    fastest: float = 1_000.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: Array,
        condition: Array | None = None,
        *,
        train: bool,
        noise_level: Array,
        interval: Array | None = None,
    ) -> Array:
        heads = math.gcd(self.width, max(1, self.width // HEAD_SIZE))
        if interval is not None and not self.intervals:
            raise ValueError("DiT was given an interval; expected intervals=True.")
        dense = partial(nn.Dense, dtype=self.dtype)
        patches = to_patches(image, self.patch)
        tokens = dense(self.width)(patches)
        tokens += self.param("places", nn.initializers.normal(0.02), tokens.shape[1:]).astype(self.dtype)
        waves = partial(sinusoids, size=self.width, fastest=self.fastest)
        embedding = dense(self.width)(jax.nn.silu(dense(self.width)(waves(noise_level))))
        if self.intervals:
            lengths = jnp.zeros_like(noise_level) if interval is None else interval
            hidden = jax.nn.silu(dense(self.width, name="interval_in")(waves(lengths)))
            embedding += dense(self.width, name="interval_out")(hidden)
        if condition is not None:
            embedding += dense(self.width, use_bias=False, name="condition")(condition)
        embedding = jax.nn.silu(embedding)
        blocks = nn.scan(
            Block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,  # pyright: ignore[reportArgumentType]
            length=self.blocks,
        )
        tokens, _ = blocks(self.width, heads, self.dtype)(tokens, embedding)
        a, b = jnp.split(dense(2 * self.width, kernel_init=ZEROS)(embedding)[:, None], 2, axis=-1)
        output = dense(patches.shape[-1], kernel_init=ZEROS)(normalized(tokens) * (1 + a) + b)
        return from_patches(output, self.patch, image.shape).astype(jnp.float32)


def normalized(tokens: Array) -> Array:
    """Tokens [..., F] of mean 0 and variance 1, with statistics in float32."""
    values = tokens.astype(jnp.float32)
    centred = values - values.mean(-1, keepdims=True)
    return (centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-6)).astype(tokens.dtype)


def to_patches(image: Array, side: int) -> Array:
    """Images [B, H, W, C] padded and cut to patches [B, T, side side C]."""
    batch, height, width, channels = image.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = jnp.pad(image, ((0, 0), (0, rows * side - height), (0, columns * side - width), (0, 0)))
    cut = padded.reshape(batch, rows, side, columns, side, channels).swapaxes(2, 3)
    return cut.reshape(batch, rows * columns, side * side * channels)


def from_patches(patches: Array, side: int, shape: tuple[int, ...]) -> Array:
    """Patches [B, T, side side C] to images of a shape [B, H, W, C]: the inverse of `to_patches`."""
    batch, height, width, channels = shape
    rows, columns = -(-height // side), -(-width // side)
    cut = patches.reshape(batch, rows, columns, side, side, channels).swapaxes(2, 3)
    return cut.reshape(batch, rows * side, columns * side, channels)[:, :height, :width]
