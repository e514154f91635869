"""Text conditioning: an encoder of tokens in front of any conditional network."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array


class TextEncoder(nn.Module):
    """Tokens int32 [B, T], padded with 0, to a condition float32 [B, size]; a text without words gives zeros.

    A pre-norm transformer of `layers` layers, Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, on embedded
    words and positions; then the mean over the words and a layer normalisation.  `size` is a multiple of `heads`.
    """

    vocabulary: int
    size: int = 64
    layers: int = 1
    heads: int = 4
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, tokens: Array, *, train: bool) -> Array:
        dense, norm = partial(nn.Dense, dtype=self.dtype), partial(nn.LayerNorm, dtype=self.dtype)
        is_word = tokens > 0
        normal = nn.initializers.normal(0.02)
        embed = nn.Embed(self.vocabulary, self.size, dtype=self.dtype, embedding_init=nn.initializers.normal(1.0))
        words = embed(tokens)
        words += self.param("places", normal, (tokens.shape[1], self.size))
        mask = nn.make_attention_mask(jnp.ones_like(is_word), is_word)
        for _ in range(self.layers):
            words += nn.MultiHeadDotProductAttention(self.heads, dtype=self.dtype)(norm()(words), mask=mask)
            words += dense(self.size)(jax.nn.gelu(dense(2 * self.size)(norm()(words))))
        words = words.astype(jnp.float32)
        total = jnp.where(is_word[..., None], words, 0).sum(1)
        mean = total / jnp.maximum(is_word.sum(1, keepdims=True), 1)
        return nn.LayerNorm(use_bias=False)(mean)


class WithText(nn.Module):
    """A conditional network with a text encoder in front of its condition.

    It takes an input, then tokens int32 [B, T] and perhaps a vector [B, F] of further conditions, which it concatenates
    with the encoded text.  Without tokens it is the network without a condition.
    """

    network: nn.Module
    encoder: TextEncoder

    def __call__(self, inputs: Array, *condition: Array, train: bool, **options: Any) -> Any:
        network: Any = self.network
        return network(inputs, *self.encode(condition, train=train), train=train, **options)

    def encode(self, condition: tuple[Array, ...], *, train: bool = False) -> tuple[Array, ...]:
        """The network's condition, () or ([B, F],): the encoded tokens, and the vector beside them if there is one."""
        if not condition:
            return ()
        tokens, *vector = condition
        return (jnp.concatenate([self.encoder(tokens, train=train), *vector], axis=-1),)

    def down(self, above: Array, *condition: Array, **options: Any) -> list[Array]:
        """The vertical stack of an autoregressive network."""
        network: Any = self.network
        return network.down(above, *self.encode(condition), **options)

    def right(self, before: Array, vertical: list[Array], *condition: Array, **options: Any) -> Array:
        """The horizontal stack of an autoregressive network."""
        network: Any = self.network
        return network.right(before, vertical, *self.encode(condition), **options)
