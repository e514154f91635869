"""Augmentation of the discriminator's inputs, differentiable for the generator.

    DiffAugment    always: Zhao et al. (2020), https://arxiv.org/abs/2006.10738
    adaptive       with a probability p that rises while the discriminator's overfitting r exceeds a target,
                       r = E[sign l(x)],   p <- p + sign(r - target) B / images
                   Karras et al. (2020), https://arxiv.org/abs/2006.06676, equation (1)

Real and fake images are augmented, each with draws of its own.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.batch import devices, mean_over_devices
from jaxgen.core.checks import require_networks
from jaxgen.core.image import to_float
from jaxgen.core.metrics import mean
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Variables
from jaxgen.models.gan.model import GAN, Augment, logits
from jaxgen.models.gan.transforms import Transform, transformed


def differentiable_augment(*transforms: Transform) -> Augment:
    """Applies all transforms, one after another, to every image."""

    def augment(_networks: Networks, key: Array, images: Array) -> Array:
        return transformed(transforms, key, images, jnp.ones(()))

    return augment


def adaptive_augment(*transforms: Transform) -> Augment:
    """Applies each transform to each image with the probability in the network "augmentation".

    That network is `augmentation_probability()` at first; `adapt_probability` updates it.
    """

    def augment(networks: Networks, key: Array, images: Array) -> Array:
        require_networks(["augmentation"], networks)
        return transformed(transforms, key, images, networks["augmentation"]["adaptive"]["probability"])

    return augment


def augmentation_probability(value: float = 0.0) -> Variables:
    """The network "augmentation" before the first step."""
    return {"adaptive": {"probability": jnp.float32(value)}}


def adapt_probability(gan: GAN, *, target: float = 0.6, images: int = 500_000, every: int = 1) -> Loss:
    """A loss of 0 that updates the probability, which goes from 0 to 1 in no fewer than `images` images.

    Inside `lazily(k, ...)`, set `every=k`.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        real, condition = to_float(context.batch["image"]), gan.conditioning(context)
        output, _ = gan.discriminate(networks, context, real, condition, train=False)
        sign = mean_over_devices(jnp.sign(logits(output)).mean())
        step = every * devices() * len(real) / images
        probability = networks["augmentation"]["adaptive"]["probability"] + jnp.sign(sign - target) * step
        probability = jax.lax.stop_gradient(jnp.clip(probability, 0.0, 1.0))
        metrics = {"probability": mean(probability), "real_sign": mean(sign)}
        return jnp.zeros(()), Aux(metrics, {"augmentation": {"adaptive": {"probability": probability}}})

    return loss
