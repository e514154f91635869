"""What the latents of a generator are of, and which latent an image has.

    interpolation   z(t) = (1 - t) a + t b, or along the great circle: Shoemake (1985), "slerp"
    SeFa            directions n that change the first layer's output A z most: eigenvectors of A^T A,
                    Shen and Zhou (2021), https://arxiv.org/abs/2007.06600, equation (4)
    GANSpace        principal directions of what a layer says, Haerkoenen et al. (2020),
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


def interpolate(first: Array, last: Array, number: int, *, spherical: bool = False) -> Array:
    """Latents [number, ..., Z] from one [..., Z] to another, both included.

    `spherical` goes along the great circle, so that the lengths in between are those that normal latents have.

    Raises:
      InputError: fewer than two latents.
    """
    if number < 2:
        raise InputError(f"A way of {number} latents: expected at least 2.")
    share = jnp.linspace(0.0, 1.0, number).reshape(-1, *(1,) * first.ndim)
    if not spherical:
        return (1 - share) * first + share * last
    directions = [latent / jnp.linalg.norm(latent, axis=-1, keepdims=True) for latent in (first, last)]
    angle = jnp.arccos(jnp.clip((directions[0] * directions[1]).sum(-1, keepdims=True), -1.0, 1.0))
    sine = jnp.sin(angle)
    near = sine < 1e-6  # on one line: the great circle is a straight one, or any
    sine = jnp.where(near, 1.0, sine)
    weights = [jnp.where(near, part, jnp.sin(part * angle) / sine) for part in (1 - share, share)]
    return weights[0] * first + weights[1] * last


def closed_form_directions(kernel: Array) -> tuple[Array, Array]:
    """SeFa: unit directions [Z, Z], a row each, and how much they change a dense layer with the kernel [Z, F].

    The strongest come first; strengths are singular values.
    """
    _, directions = jnp.linalg.eigh(jnp.matmul(kernel, kernel.T, precision="highest"))
    directions = directions.T[::-1]
    return directions, jnp.linalg.norm(jnp.matmul(directions, kernel, precision="highest"), axis=1)


def principal_directions(samples: Array, number: int) -> tuple[Array, Array]:
    """GANSpace: the first unit directions [number, Z] of samples [N, Z], and the standard deviations along them.

    Raises:
      InputError: more directions than there are.
    """
    most = min(samples.shape)
    if not 1 <= number <= most:
        raise InputError(f"{number} principal directions of samples {list(samples.shape)}: expected 1 to {most}.")
    _, strengths, directions = jnp.linalg.svd(samples - samples.mean(0), full_matrices=False)
    return directions[:number], strengths[:number] / jnp.sqrt(max(len(samples) - 1, 1))


def along(latent: Array, direction: Array, steps: Array) -> Array:
    """The latents [S, Z] that differ from one [Z] by steps [S] along a direction [Z]."""
    return latent + steps[:, None] * direction


def latent_network(latent: Array) -> Variables:
    """Latents [B, Z] as the network "latent", so that `minimize(..., wrt="latent")` finds them.

    Start from several draws for each image: there is more than one valley, and at 0 a ReLU network may be flat.
    """
    return {"params": latent}


def inversion_loss(generate: Callable[[Networks, Array], Array], *, weight: float = 0.0) -> Loss:
    """The mean squared error of `generate(networks, latents)` to the batch's images, for the network "latent".

    `weight` times the latents' mean square keeps them where the prior is.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        latent = networks["latent"]["params"]
        error = jnp.square(generate(networks, latent) - to_float(context.batch["image"])).mean()
        return error + weight * jnp.square(latent).mean(), Aux({"error": mean(error)})

    return loss


def saliency(judge: Callable[[Array], Array], images: Array) -> Array:
    """How much each pixel moves its image's logit: the gradient's norm over channels [B, H, W], 1 at the strongest.

    Simonyan et al. (2014), https://arxiv.org/abs/1312.6034.  `judge` takes images float32 [B, H, W, C] to logits [B].
    """
    gradient = jnp.linalg.norm(jax.grad(lambda given: judge(given).sum())(images), axis=-1)
    return gradient / jnp.maximum(gradient.max((1, 2), keepdims=True), 1e-12)
