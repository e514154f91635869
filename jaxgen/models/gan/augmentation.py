"""Augmentations that the discriminator sees and the generator learns through.

    DiffAugment    always: Zhao et al. (2020), https://arxiv.org/abs/2006.10738
    adaptive       each image with a probability p that follows how far the discriminator overfits,
                       r = E[sign l(x)],   p <- p + sign(r - target) B / images
                   Karras et al. (2020), https://arxiv.org/abs/2006.06676, equation (1)

Both kinds of images are augmented, each with a draw of its own.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.batch import devices, mean_over_devices
from jaxgen.core.checks import require_networks
from jaxgen.core.condition import conditioning
from jaxgen.core.metrics import mean
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Variables
from jaxgen.models.gan.model import GAN, Augment, logits
from jaxgen.models.gan.regularizers import real_images
from jaxgen.models.gan.transforms import Transform, transformed


def differentiable_augment(*transforms: Transform) -> Augment:
    """The transforms one after another, each of every image."""

    def augment(_networks: Networks, key: Array, images: Array) -> Array:
        return transformed(transforms, key, images, jnp.ones(()))

    return augment


def adaptive_augment(*transforms: Transform) -> Augment:
    """Each transform of each image with the probability that the network "augmentation" holds.

    That is `augmentation_probability()`, beside the GAN's own networks; `adapt_probability` moves it.
    """

    def augment(networks: Networks, key: Array, images: Array) -> Array:
        require_networks(["augmentation"], networks)
        return transformed(transforms, key, images, networks["augmentation"]["adaptive"]["probability"])

    return augment


def augmentation_probability(value: float = 0.0) -> Variables:
    """The network "augmentation" before the first step."""
    return {"adaptive": {"probability": jnp.float32(value)}}


def adapt_probability(gan: GAN, *, target: float = 0.6, images: int = 500_000, every: int = 1) -> Loss:
    """A loss of 0 that moves the probability, from 0 to 1 in no fewer than so many images.

    Inside `lazily(k, ...)` tell it: `every=k`.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        real, condition = real_images(gan, networks, context), conditioning(gan.conditions, context.batch)
        output, _ = gan.discriminate(networks, context, real, condition, train=False)
        sign = mean_over_devices(jnp.sign(logits(output)).mean())
        step = every * devices() * len(real) / images
        probability = networks["augmentation"]["adaptive"]["probability"] + jnp.sign(sign - target) * step
        probability = jax.lax.stop_gradient(jnp.clip(probability, 0.0, 1.0))
        metrics = {"probability": mean(probability), "real_sign": mean(sign)}
        return jnp.zeros(()), Aux(metrics, {"augmentation": {"adaptive": {"probability": probability}}})

    return loss
