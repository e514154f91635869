"""GANs of small colour images.  python experiments/gan_cifar10.py --help

    sngan     residual networks with spectral normalisation and the hinge loss: Miyato et al. (2018),
              https://arxiv.org/abs/1802.05957; with --classes, both conditioned on labels
    r3gan     residual networks without normalisation, the relativistic loss, R1 and R2: Huang et al. (2024),
              https://arxiv.org/abs/2501.05441

--evaluate-every measures the Fréchet distance during training; with --inception it is the FID.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import optax
import tyro

from jaxgen import ImageSpec, InputError, Loss, add, chain, ema, every, lazily, minimize
from jaxgen.export import export_controls
from jaxgen.losses import hinge_discriminator, relativistic_paired, wasserstein_generator
from jaxgen.models import (
    GAN,
    discriminator_loss,
    ema_warmup,
    generator_loss,
    labels,
    r1_loss,
    r2_loss,
    relativistic_generator_loss,
    use_ema,
)
from jaxgen.nets import R3GANDiscriminator, R3GANGenerator, ResidualDiscriminator, ResidualGenerator
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw CIFAR-10 images."""

    data: str = "cifar10"
    """cifar10, a folder of images, or an archive."""
    max_minutes: Positive = 60.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 64
    """Images per step, over all devices."""
    preset: Literal["sngan", "r3gan"] = "sngan"
    """Networks, losses and optimisers."""
    classes: Annotated[int, Bounds(least=0)] = 0
    """Number of classes that both networks are conditioned on; 0 for an unconditional GAN."""
    width: Count = 64
    """Channels: of sngan's generator (256 in the paper; its discriminator has half as many); of r3gan's largest map."""
    latent_size: Count = 128
    """Latent dimension."""
    learning_rate: Positive = 2e-4
    """Adam's for both networks; it decays linearly to 0 at step --decay-steps."""
    decay_steps: Count = 150_000
    """Steps until the learning rate is 0."""
    critic_steps: Count | None = None
    """Steps of sngan's discriminator for each of its generator; 5 in the paper and by default."""
    gamma: Annotated[float, Bounds(least=0)] | None = None
    """Weight of r3gan's gradient penalties R1 and R2; by default 0.5."""


def make_gan(config: Config, spec: ImageSpec) -> GAN:
    """Both networks."""
    conditions = labels(config.classes) if config.classes else {}
    if config.preset == "sngan":
        networks = (
            ResidualGenerator(spec, config.width, dtype=config.dtype),
            ResidualDiscriminator(max(config.width // 2, 1), dtype=config.dtype),
        )
    else:
        networks = (
            R3GANGenerator(spec, config.width, dtype=config.dtype),
            R3GANDiscriminator(config.width, dtype=config.dtype),
        )
    return GAN(*networks, latent_size=config.latent_size, conditions=conditions)


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    gan = make_gan(config, spec)
    is_sngan = config.preset == "sngan"
    if is_sngan and config.gamma is not None:
        raise InputError(f"--gamma {config.gamma}: sngan has no gradient penalties; they are --preset r3gan's.")
    if not is_sngan and config.critic_steps is not None:
        raise InputError(f"--critic-steps {config.critic_steps}: r3gan's networks alternate; it is --preset sngan's.")
    k = (config.critic_steps or 5) if is_sngan else 1
    gamma = 0.5 if config.gamma is None else config.gamma

    def adam(steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.linear_schedule(config.learning_rate, 0.0, steps), b1=0.0, b2=0.9 if is_sngan else 0.99)

    def sides() -> tuple[Loss, Loss]:
        if is_sngan:
            return discriminator_loss(gan, hinge_discriminator), generator_loss(gan, wasserstein_generator)
        penalties = {
            "r1": lazily(4, r1_loss(gan, gamma=gamma, one_in=4)),
            "r2": lazily(4, r2_loss(gan, gamma=gamma, one_in=4)),
        }
        discriminator = add(adversarial=discriminator_loss(gan, relativistic_paired), **penalties)
        return discriminator, relativistic_generator_loss(gan, relativistic_paired)

    discriminator, generator = sides()
    update = chain(
        discriminator=minimize(discriminator, adam(config.decay_steps), wrt="discriminator"),
        # The generator's optimiser counts its own steps.
        generator=every(k, minimize(generator, adam(-(-config.decay_steps // k)), wrt="generator")),
        average=ema("generator", into="generator_ema", decay=ema_warmup(0.9995)),
    )
    return Recipe(
        networks=partial(gan.init, spec=spec),
        update=update,
        sampler=use_ema(gan.sampler()),
        exports={"controls": export_controls(use_ema(gan.controls))},
    )


def main() -> None:
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="gan_cifar10")


if __name__ == "__main__":
    command(main)
