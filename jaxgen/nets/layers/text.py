"""Networks that are told words: an encoder of tokens before whatever takes a condition."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array


class TextEncoder(nn.Module):
    """Tokens int32 [B, T], 0 where there is no word, to a condition float32 [B, size]; no words give zeros.

    Each word and its place have an embedding; `layers` of self-attention among the words (Vaswani et al. (2017),
    https://arxiv.org/abs/1706.03762, normalised before each part), then the mean over words, normalised.
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
    """A network of an input and a condition as one of an input and tokens int32 [B, T], which it reads by an encoder.

    Without tokens it is the network without a condition.
    """

    network: nn.Module
    encoder: TextEncoder

    def __call__(self, given: Array, tokens: Array | None = None, *, train: bool) -> Any:
        if tokens is None:
            return self.network(given, train=train)  # pyright: ignore[reportCallIssue]
        return self.network(given, self.read(tokens, train=train), train=train)  # pyright: ignore[reportCallIssue]

    def read(self, tokens: Array | None, *, train: bool = False) -> Array | None:
        """The condition that the network is told."""
        return None if tokens is None else self.encoder(tokens, train=train)

    def down(self, above: Array, tokens: Array | None, *place: Any) -> list[Array]:
        """The network's own, of networks that draw in reading order."""
        return self.network.down(above, self.read(tokens), *place)  # pyright: ignore[reportAttributeAccessIssue]

    def right(self, before: Array, told: list[Array], tokens: Array | None, *place: Any) -> Array:
        """The network's own, of networks that draw in reading order."""
        return self.network.right(before, told, self.read(tokens), *place)  # pyright: ignore[reportAttributeAccessIssue]
