"""A Wasserstein GAN with gradient penalty.  python experiments/wgan_gp_mnist.py --help

A critic, whose gradient norm a penalty keeps near 1, estimates the Wasserstein distance between real and generated
images; the generator, trained once in five steps, reduces it.  Gulrajani et al. (2017),
https://arxiv.org/abs/1704.00028, algorithm 1.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import jax
import optax
import tyro

from jaxgen import ImageSpec, add, chain, ema, every, minimize
from jaxgen.export import export_controls
from jaxgen.losses import wasserstein_critic, wasserstein_generator
from jaxgen.models import (
    GAN,
    discriminator_loss,
    ema_warmup,
    generator_loss,
    gradient_penalty_loss,
    share_images,
    use_ema,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw MNIST digits with a Wasserstein GAN."""

    batch_size: Count = 32
    """Images per step, over all devices."""
    width: Count = 32
    """Channels of the layer next to the image; each smaller layer has twice as many."""
    hidden: Annotated[int, Bounds(least=0)] = 256
    """Features of the dense layer between the latent and the maps, and between the maps and the value; 0 for none."""
    latent_size: Count = 64
    """Latent dimension."""
    learning_rate: Positive = 5e-4
    """Adam's for both networks; it decays as lr / (1 + step / 20,000)."""
    critic_steps: Count = 5
    """Steps of the critic for each of the generator."""
    penalty: Annotated[float, Bounds(least=0)] = 10.0
    """Weight of the gradient penalty."""


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
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000), b1=0.0, b2=0.9)
    # The generator's optimiser counts its own steps, which are fewer.
    fewer = 20_000 / config.critic_steps
    slower = optax.adam(lambda step: config.learning_rate / (1 + step / fewer), b1=0.0, b2=0.9)
    update = chain(
        critic=minimize(
            add(
                wasserstein=discriminator_loss(gan, wasserstein_critic),
                slope=gradient_penalty_loss(gan, weight=config.penalty),
            ),
            adam,
            wrt="discriminator",
        ),
        generator=every(
            config.critic_steps, minimize(generator_loss(gan, wasserstein_generator), slower, wrt="generator")
        ),
        average=ema("generator", into="generator_ema", decay=ema_warmup(0.9998)),
    )
    return Recipe(
        networks=partial(gan.init, spec=spec),
        update=share_images(gan, update),
        sampler=use_ema(gan.sampler()),
        exports={"controls": export_controls(use_ema(gan.controls))},
    )


def main() -> None:
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="wgan_gp_mnist")


if __name__ == "__main__":
    command(main)
