"""Content and style of images in the feature maps of a network.

With F^l [B, H, W, C] the maps of level l, and mu, sigma [B, 1, 1, C] the mean and standard deviation of each channel:

    (1) content          mean (F - F')^2                                       over positions and channels
    (2) style, moments   sum_l mean_c (mu^l - mu'^l)^2 + (sigma^l - sigma'^l)^2
    (3) style, Gram      sum_l mean_cd (G^l - G'^l)^2,   G_cd = 1 / (H W) sum_hw F_hwc F_hwd

(1) and (2) Huang and Belongie (2017), https://arxiv.org/abs/1703.06868, equations (12) and (13), their norms as mean
squares.  (3) Gatys et al. (2016), "Image style transfer using convolutional neural networks", equations (3) to (5),
with means over positions and channels, so that the two images of a pair may have different sizes.

(1) is `jaxgen.losses.squared_error` on maps.  Losses are [B], not reduced.
"""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxgen.core.types import Array

EPSILON = 1e-5
"""Added to variances: the square root has no finite derivative at 0."""


def channel_moments(features: Array) -> tuple[Array, Array]:
    """The mean and the standard deviation [B, 1, 1, C] of each channel of maps [B, H, W, C]."""
    return features.mean((1, 2), keepdims=True), jnp.sqrt(features.var((1, 2), keepdims=True) + EPSILON)


def gram_matrix(features: Array) -> Array:
    """The Gram matrix [B, C, C] of the channels of maps [B, H, W, C], averaged over positions."""
    return jnp.einsum("bhwc,bhwd->bcd", features, features) / (features.shape[1] * features.shape[2])


def moment_style_loss(features: Sequence[Array], target: Sequence[Array]) -> Array:
    """The style loss (2) between the feature maps of images and of their style targets, one array for each level."""
    differences = [
        jnp.square(ours - theirs).mean((1, 2, 3))
        for pair in zip(features, target, strict=True)
        for ours, theirs in zip(*map(channel_moments, pair), strict=True)
    ]
    return jnp.stack(differences).sum(0)


def gram_style_loss(features: Sequence[Array], target: Sequence[Array]) -> Array:
    """The style loss (3) between the feature maps of images and of their style targets, one array for each level."""
    differences = [
        jnp.square(gram_matrix(ours) - gram_matrix(theirs)).mean((1, 2))
        for ours, theirs in zip(features, target, strict=True)
    ]
    return jnp.stack(differences).sum(0)
