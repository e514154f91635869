"""A style-based GAN of digits.  python experiments/stylegan_mnist.py --help

A style modulates each layer of the generator, so that the coarse layers of one image and the fine layers of another
combine into a third.  Karras et al. (2020), https://arxiv.org/abs/1912.04958.  Afterwards

    python -m jaxgen mix runs/stylegan_mnist --layer 2 --out mixtures.png
    python -m jaxgen truncate runs/stylegan_mnist --out truncations.png
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
from jaxgen.models import (
    GAN,
    discriminator_loss,
    ema_warmup,
    generator_loss,
    r1_loss,
    r2_loss,
    share_images,
    style_controls,
    use_ema,
)
from jaxgen.nets import DCGANDiscriminator, StyleGenerator
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw MNIST digits with a style-based GAN."""

    max_minutes: Positive = 15.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    width: Count = 16
    """Channels of the generator's maps at the two largest sizes; each smaller size has twice as many, and so has the
    discriminator's first layer."""
    hidden: Annotated[int, Bounds(least=0)] = 256
    """Features of the dense layer between the discriminator's maps and its logit; 0 for none."""
    latent_size: Count = 64
    """Dimension of a style w."""
    learning_rate: Positive = 2e-3
    """Adam's for both networks; it decays as lr / (1 + step / 8,000)."""
    gamma: Annotated[float, Bounds(least=0)] = 1.0
    """Weight of the gradient penalties R1 and R2."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    generator = StyleGenerator(spec, config.width, config.latent_size, dtype=config.dtype)
    he_normal = jax.nn.initializers.he_normal()
    gan = GAN(
        generator=generator,
        discriminator=DCGANDiscriminator(
            2 * config.width, config.hidden, normalize=False, kernel_init=he_normal, dtype=config.dtype
        ),
        latent_size=generator.latent_size,
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
        exports={"controls": export_controls(use_ema(style_controls(gan)))},
    )


def main() -> None:
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="stylegan_mnist")


if __name__ == "__main__":
    command(main)
