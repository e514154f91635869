"""Paths and directions in latent space, inversion, saliency.

    interpolation   z(t) = (1 - t) a + t b, or along the great circle: Shoemake (1985), "slerp"
    SeFa            directions n that change the first layer's output A z most: eigenvectors of A^T A,
                    Shen and Zhou (2021), https://arxiv.org/abs/2007.06600, equation (4)
    GANSpace        principal directions of a layer's outputs, Härkönen et al. (2020),
                    https://arxiv.org/abs/2004.02546
    inversion       argmin_z |G(z) - x|^2 + weight |z|^2, by `minimize` with the latent as a network

Each is a pure function of latents [N, Z] or of the generator's parameters.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.image import to_float
from jaxgen.core.metrics import mean
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Variables
from jaxgen.io.errors import InputError
from jaxgen.losses import Discriminator

Generate = Callable[[Networks, Array], Array]
"""Networks and latents [B, Z] to images float32 [B, H, W, C] in [-1, 1]."""


def interpolate(first: Array, last: Array, num: int, *, spherical: bool = False) -> Array:
    """Latents [num, ..., Z] evenly spaced from one [..., Z] to another, both included.

    `spherical` follows the great circle, which keeps the norms that normal latents have.

    Raises:
      InputError: fewer than two latents.
    """
    if num < 2:
        raise InputError(f"An interpolation of {num} latents; expected at least 2.")
    shares = jnp.linspace(0.0, 1.0, num).reshape(-1, *(1,) * first.ndim)
    return between(first, last, shares, spherical=spherical)


def between(first: Array, last: Array, share: Array, *, spherical: bool = False) -> Array:
    """The latents [..., Z] at shares in [0, 1], broadcast, of the way from one [..., Z] to another.

    `spherical` follows the great circle, which keeps the norms that normal latents have.
    """
    if not spherical:
        return (1 - share) * first + share * last
    directions = [latent / jnp.linalg.norm(latent, axis=-1, keepdims=True) for latent in (first, last)]
    angle = jnp.arccos(jnp.clip((directions[0] * directions[1]).sum(-1, keepdims=True), -1.0, 1.0))
    sine = jnp.sin(angle)
    near = sine < 1e-6  # parallel latents: the great circle is a straight line, or not unique
    sine = jnp.where(near, 1.0, sine)
    weights = [jnp.where(near, part, jnp.sin(part * angle) / sine) for part in (1 - share, share)]
    return weights[0] * first + weights[1] * last


def closed_form_directions(kernel: Array) -> tuple[Array, Array]:
    """SeFa: unit directions [Z, Z], in rows, and the singular values of a dense layer's kernel [Z, F] along them.

    The strongest come first.
    """
    _, directions = jnp.linalg.eigh(jnp.matmul(kernel, kernel.T, precision="highest"))
    directions = directions.T[::-1]
    return directions, jnp.linalg.norm(jnp.matmul(directions, kernel, precision="highest"), axis=1)


def principal_directions(samples: Array, num: int) -> tuple[Array, Array]:
    """GANSpace: the first unit directions [num, Z] of samples [N, Z], and the standard deviations along them.

    Raises:
      InputError: more directions than there are.
    """
    most = min(samples.shape)
    if not 1 <= num <= most:
        raise InputError(f"{num} principal directions of samples {list(samples.shape)}: expected 1 to {most}.")
    _, strengths, directions = jnp.linalg.svd(samples - samples.mean(0), full_matrices=False)
    return directions[:num], strengths[:num] / jnp.sqrt(max(len(samples) - 1, 1))


def along(latent: Array, direction: Array, steps: Array) -> Array:
    """The latents [S, Z] at steps [S] from a latent [Z] along a direction [Z]."""
    return latent + steps[:, None] * direction


def latent_network(latent: Array) -> Variables:
    """Latents [B, Z] as the network "latent", which `minimize(..., wrt="latent")` optimises.

    Start from several draws for each image: the loss has several minima, and a ReLU network may be flat at 0.
    """
    return {"params": latent}


def inversion_loss(generate: Generate, *, weight: float = 0.0) -> Loss:
    """The mean squared error of `generate(networks, latents)` to the batch's images, for the network "latent".

    `weight` times the latents' mean square keeps them near the mode of the prior.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        latent = networks["latent"]["params"]
        error = jnp.square(generate(networks, latent) - to_float(context.batch["image"])).mean()
        return error + weight * jnp.square(latent).mean(), Aux({"error": mean(error)})

    return loss


def saliency(logits: Discriminator, images: Array) -> Array:
    """The norm over channels of the gradient of an image's logit [B, H, W], scaled to 1 at its maximum.

    Simonyan et al. (2014), https://arxiv.org/abs/1312.6034.
    """
    gradient = jnp.linalg.norm(jax.grad(lambda pixels: logits(pixels).sum())(images), axis=-1)
    return gradient / jnp.maximum(gradient.max((1, 2), keepdims=True), 1e-12)
