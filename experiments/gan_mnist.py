"""A GAN that draws digits.  python experiments/gan_mnist.py --help"""

from dataclasses import dataclass
from typing import Annotated

import optax
import tyro
from flax.linen.initializers import he_normal

from jaxgen.command import command
from jaxgen.config import Bounds, Count, Positive, RunConfig
from jaxgen.experiment import run
from jaxgen.image import ImageSpec
from jaxgen.loop import Recipe
from jaxgen.losses import logistic_discriminator, non_saturating_generator
from jaxgen.models import GAN, discriminator_loss, generator_loss, r1_loss
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator
from jaxgen.objective import add, lazily
from jaxgen.update import chain, ema, minimize


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw MNIST digits with a DCGAN."""

    width: Count = 16
    """Channels of the layer below the image; each layer below that has twice as many."""
    hidden: Annotated[int, Bounds(least=0)] = 256
    """Features of the dense layer between latent and maps, and between maps and logit."""
    latent_size: Count = 64
    """Numbers that an image is drawn from."""
    learning_rate: Positive = 2e-3
    """Adam's learning rate, for both networks."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    gan = GAN(
        generator=DCGANGenerator(spec, config.width, config.hidden, kernel_init=he_normal()),
        discriminator=DCGANDiscriminator(config.width, config.hidden, normalize=False, kernel_init=he_normal()),
        latent_size=config.latent_size,
        spec=spec,
    )
    adam = optax.adam(config.learning_rate, b1=0.0, b2=0.99)
    update = chain(
        discriminator=minimize(
            add(
                adversarial=discriminator_loss(gan, logistic_discriminator),
                r1=lazily(4, r1_loss(gan, gamma=1.0, share=0.25)),
            ),
            adam,
            wrt="discriminator",
        ),
        generator=minimize(generator_loss(gan, non_saturating_generator), adam, wrt="generator"),
        average=ema("generator", into="generator_ema", decay=lambda step: (1 + step) / (26.0 + step)),
    )
    return Recipe(networks=gan.init, update=update, sampler=gan.sampler("generator_ema"))


def main() -> None:
    run(tyro.cli(Config), build, name="gan_mnist")


if __name__ == "__main__":
    command(main)
