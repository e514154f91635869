"""Penalties on discriminators.

    (1) R1, R2      1/2 |grad l(x)|^2                      at real (R1) or generated (R2) x
    (2) R1, R2      E_n [(l(x + e n) - l(x - e n))^2] / (8 e^2),   n standard normal; equal to (1) as e -> 0
    (3) WGAN-GP     (|grad l(x)| - 1)^2                    at x between real and generated images
    (4) one-sided   max(0, |grad l(x)| - 1)^2
    (5) LeCam       (l - a')^2 + (l' - a)^2                with moving averages a, a' of real and generated logits l, l'

(1) Mescheder et al. (2018), https://arxiv.org/abs/1801.04406, equation (9).  (3), (4) Gulrajani et al. (2017),
https://arxiv.org/abs/1704.00028, equation (3).  DRAGAN is (3) at perturbed real images: Kodali et al. (2017),
https://arxiv.org/abs/1705.07215.  (5) Tseng et al. (2021), https://arxiv.org/abs/2104.03310, equation (4).

Penalties are float32 [B], neither reduced nor weighted.  For (1) to (4) each logit must depend on its own image alone:
no BatchNorm in training mode.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array

Discriminator = Callable[[Array], Array]
"""Images [B, H, W, C] to logits [B]."""


def squared_slopes(discriminator: Discriminator, images: Array) -> Array:
    """The squared norm [B] of each logit's gradient at its image."""
    gradients = jax.grad(lambda pixels: discriminator(pixels).sum())(images.astype(jnp.float32))
    return jnp.square(gradients).sum(axis=tuple(range(1, images.ndim)))


def zero_centred_penalty(discriminator: Discriminator, images: Array) -> Array:
    """The penalty (1): R1 at real images, R2 at generated ones."""
    return 0.5 * squared_slopes(discriminator, images)


def finite_difference_penalty(
    discriminator: Discriminator, images: Array, noise: Array, *, step: float = 1e-2
) -> Array:
    """The penalty (2), which estimates (1) from one random direction without second derivatives.

    `noise` has the shape of the images and is standard normal.
    """
    ahead, behind = (discriminator(images + sign * step * noise) for sign in (1, -1))
    return jnp.square(ahead - behind) / (8 * step**2)


def one_centred_penalty(discriminator: Discriminator, images: Array, *, one_sided: bool = False) -> Array:
    """The penalty (3), or (4) with `one_sided`, which leaves gradient norms below 1 free."""
    # The square root has no finite derivative at 0.
    excess = jnp.sqrt(squared_slopes(discriminator, images) + 1e-12) - 1
    return jnp.square(jax.nn.relu(excess) if one_sided else excess)


def lecam_penalty(real_logits: Array, fake_logits: Array, average_real: Array, average_fake: Array) -> Array:
    """The penalty (5), from the moving averages [] of the real and the generated logits."""
    return jnp.square(real_logits - average_fake) + jnp.square(fake_logits - average_real)
