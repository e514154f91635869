"""A sentence encoder: BERT, Devlin et al. (2019), https://arxiv.org/abs/1810.04805, with mean pooling as in
Sentence-BERT, Reimers and Gurevych (2019), https://arxiv.org/abs/1908.10084.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.types import Array


class SentenceEncoder(nn.Module):
    """Tokens int32 [B, T], padded with 0, to features float32 [B, size] of unit norm, the mean over tokens."""

    vocabulary: int = 30_522
    size: int = 384
    layers: int = 6
    heads: int = 12
    inner: int = 1_536
    positions: int = 512

    @nn.compact
    def __call__(self, tokens: Array) -> Array:
        is_token = tokens > 0
        places = jnp.arange(tokens.shape[1])
        norm = partial(nn.LayerNorm, epsilon=1e-12)
        hidden = nn.Embed(self.vocabulary, self.size, name="words")(tokens)
        hidden += nn.Embed(self.positions, self.size, name="places")(places)
        hidden = norm(name="norm")(hidden + self.param("segment", nn.initializers.normal(0.02), (self.size,)))
        mask = nn.make_attention_mask(jnp.ones_like(is_token), is_token)
        for layer in range(self.layers):
            attention = nn.MultiHeadDotProductAttention(self.heads, name=f"attention_{layer}")
            hidden = norm(name=f"attention_norm_{layer}")(hidden + attention(hidden, mask=mask))
            inner = jax.nn.gelu(nn.Dense(self.inner, name=f"inner_{layer}")(hidden), approximate=False)
            hidden = norm(name=f"norm_{layer}")(hidden + nn.Dense(self.size, name=f"outer_{layer}")(inner))
        total = jnp.where(is_token[..., None], hidden, 0).sum(1)
        return total * jax.lax.rsqrt(jnp.maximum(jnp.square(total).sum(-1, keepdims=True), 1e-24))
