"""Conditioning of networks on a vector [B, F]."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.types import Array


def with_condition(features: Array, condition: Array | None) -> Array:
    """Features [B, D] concatenated with the condition, if there is one."""
    return features if condition is None else jnp.concatenate([features, condition], axis=-1)


def with_projection(
    output: Array,
    features: Array,
    condition: Array | None,
    layer: Callable[[nn.Module], Callable[[Array], Array]] = lambda dense: dense,  # pyright: ignore[reportArgumentType]
) -> Array:
    """A discriminator's outputs: [B, 1] to logits [B] with a projection of the features [B, D]; [B, 1 + A] as they are.

    The logit is f(x) + V(c) . phi(x): Miyato and Koyama (2018), https://arxiv.org/abs/1802.05637, equation (3).  A
    discriminator with auxiliary outputs predicts the condition, so it is not conditioned on it.  Call it inside a
    module, where it adds a dense layer; `layer` wraps that, e.g. to normalise its weights.
    """
    if output.shape[-1] > 1:
        return output
    if condition is None:
        return output[:, 0]
    embedding = layer(nn.Dense(features.shape[-1], use_bias=False, name="projection"))(condition)
    return output[:, 0] + (features.astype(output.dtype) * embedding).sum(-1)
