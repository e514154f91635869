"""A variational autoencoder of digits.  python experiments/vae_mnist.py --help

An encoder parametrises the posterior of an image's latents, a decoder the distribution of images; each step raises the
evidence lower bound.  Besides samples it leaves pictures of reconstructions, of interpolations between images, and of a
plane of the latent space.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize
from jaxgen.export import export_controls
from jaxgen.losses import bernoulli
from jaxgen.models import VAE, elbo_loss, ema_warmup, image_interpolations, latent_map, reconstructions, use_ema
from jaxgen.nets import ResidualDecoder, ResidualEncoder
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Encode and draw MNIST digits with a residual VAE."""

    batch_size: Count = 64
    """Images per step, over all devices."""
    latent_size: Annotated[int, Bounds(least=2)] = 16
    """Latent dimension."""
    width: Count = 16
    """Channels of the maps of half the image's sides; those of a quarter have twice as many."""
    blocks: Count = 1
    """Residual blocks at each size."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 8,000)."""
    beta: Positive = 1.0
    """Weight of the divergence from the prior, warmed up linearly over 2,000 steps."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    likelihood = bernoulli()
    output = spec._replace(channels=likelihood.num_params(spec.channels))
    vae = VAE(
        encoder=ResidualEncoder(config.latent_size, config.width, config.blocks, dtype=config.dtype),
        decoder=ResidualDecoder(output, config.width, config.blocks, dtype=config.dtype),
        likelihood=likelihood,
        latent_size=config.latent_size,
    )
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 8_000))
    beta = optax.linear_schedule(0.0, config.beta, 2_000)
    update = chain(
        vae=minimize(elbo_loss(vae, beta=beta), adam, wrt=("encoder", "decoder")),
        encoder_average=ema("encoder", into="encoder_ema", decay=ema_warmup(0.999)),
        decoder_average=ema("decoder", into="decoder_ema", decay=ema_warmup(0.999)),
    )
    return Recipe(
        networks=partial(vae.init, spec=spec),
        update=update,
        sampler=use_ema(vae.sampler()),
        pictures=use_ema(
            lambda networks, batch: {
                "reconstructions": reconstructions(vae, networks, batch),
                "interpolations": image_interpolations(vae, networks, batch),
                "latent_map": latent_map(vae, networks, batch),
            }
        ),
        exports={"controls": export_controls(use_ema(vae.controls))},
    )


def main() -> None:
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="vae_mnist")


if __name__ == "__main__":
    command(main)
