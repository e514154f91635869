"""A GAN that draws digits.  python experiments/gan_mnist.py --help

A generator draws images from random latents; a discriminator distinguishes them from real ones.  Each step generates
images once, trains the discriminator with gradient penalties at real and at generated images (R1 and R2), then the
generator against it, then updates a moving average of the generator, which draws the samples.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import jax
import optax
import tyro

from jaxgen import ImageSpec, add, chain, ema, lazily, minimize
from jaxgen.export import export_controls
from jaxgen.losses import logistic_discriminator, non_saturating_generator
from jaxgen.models import GAN, discriminator_loss, ema_warmup, generator_loss, r1_loss, r2_loss, share_images, use_ema
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw MNIST digits with a DCGAN."""

    batch_size: Count = 32
    """Images per step, over all devices."""
    width: Count = 32
    """Channels of the layer next to the image; each smaller layer has twice as many."""
    hidden: Annotated[int, Bounds(least=0)] = 256
    """Features of the dense layer between the latent and the maps, and between the maps and the logit; 0 for none."""
    latent_size: Count = 64
    """Latent dimension."""
    learning_rate: Positive = 2e-3
    """Adam's for both networks; it decays as lr / (1 + step / 8,000)."""
    gamma: Annotated[float, Bounds(least=0)] = 1.0
    """Weight of the gradient penalties R1 and R2."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    he_normal = jax.nn.initializers.he_normal()
    gan = GAN(
        generator=DCGANGenerator(spec, config.width, config.hidden, kernel_init=he_normal, dtype=config.dtype),
        discriminator=DCGANDiscriminator(
            config.width, config.hidden, normalize=False, kernel_init=he_normal, dtype=config.dtype
        ),
        latent_size=config.latent_size,
    )
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 8_000), b1=0.0, b2=0.99)
    update = chain(
        discriminator=minimize(
            add(
                adversarial=discriminator_loss(gan, logistic_discriminator),
                r1=lazily(4, r1_loss(gan, gamma=config.gamma, one_in=4)),
                r2=lazily(4, r2_loss(gan, gamma=config.gamma, one_in=4)),
            ),
            adam,
            wrt="discriminator",
        ),
        generator=minimize(generator_loss(gan, non_saturating_generator), adam, wrt="generator"),
        average=ema("generator", into="generator_ema", decay=ema_warmup(0.9998)),
    )
    return Recipe(
        networks=partial(gan.init, spec=spec),
        update=share_images(gan, update),
        sampler=use_ema(gan.sampler()),
        discriminators=("discriminator/adversarial",),
        exports={"controls": export_controls(use_ema(gan.controls))},
    )


def main() -> None:
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="gan_mnist")


if __name__ == "__main__":
    command(main)
