"""A GAN that draws digits.  python experiments/gan_mnist.py --help"""

from dataclasses import dataclass

import optax
import tyro
from flax.linen.initializers import he_normal

from jaxgen.command import command
from jaxgen.config import RunConfig
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

    width: int = 32
    """Channels of the widest image-sized layer."""
    learning_rate: float = 2e-3


def build(config: Config, spec: ImageSpec) -> Recipe:
    gan = GAN(
        generator=DCGANGenerator(spec, config.width, kernel_init=he_normal()),
        discriminator=DCGANDiscriminator(config.width, normalize=False, kernel_init=he_normal()),
        latent_size=64,
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
