"""A variational autoencoder of colour images.  python experiments/vae_cifar10.py --help

Each value of an image is one of 256 levels, of which a mixture of logistics says how likely they are, so the bound is
one on the bits that it takes to store an image.  It ends with that of the test images.
"""

import json
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import jax.numpy as jnp
import optax
import tyro
from rich.console import Console

from jaxgen import ImageSpec, chain, ema, minimize
from jaxgen.data import load
from jaxgen.evaluation import bits_per_dim, negative_log_likelihood
from jaxgen.io.files import write_whole
from jaxgen.losses import discretized_logistic_mixture
from jaxgen.models import (
    VAE,
    elbo_loss,
    ema_warmup,
    image_interpolations,
    importance_weights,
    reconstructions,
    use_ema,
)
from jaxgen.nets import ResidualDecoder, ResidualEncoder
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, best_networks, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Encode and draw CIFAR-10 with a residual VAE."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"test_samples"}

    data: Literal["cifar10"] = "cifar10"
    """Prepared by TFDS as array_record; looked for in --data-dir."""
    max_minutes: Positive = 60.0
    """Stop after this long with everything saved; the same command goes on from there."""
    batch_size: Count = 64
    """Images a step."""
    latent_size: Count = 128
    """Latents of an image."""
    width: Count = 32
    """Channels of the maps of half the image's sides; those of a quarter have twice as many."""
    blocks: Count = 2
    """Residual blocks at each size."""
    components: Count = 5
    """Logistics in a mixture."""
    learning_rate: Positive = 1e-3
    """Adam's at the start; it is half as much after 20,000 steps, a third after 40,000."""
    test_samples: Annotated[int, Bounds(least=0)] = 10
    """Importance samples of a test image; 0 for no test."""


def make_model(config: Config, spec: ImageSpec) -> VAE:
    """The networks and what they mean."""
    likelihood = discretized_logistic_mixture(config.components)
    output = spec._replace(channels=likelihood.dist_params(spec.channels))
    return VAE(
        encoder=ResidualEncoder(config.latent_size, config.width, config.blocks),
        decoder=ResidualDecoder(output, config.width, config.blocks),
        likelihood=likelihood,
        latent_size=config.latent_size,
    )


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to draw from them."""
    vae = make_model(config, spec)
    adam = optax.chain(
        optax.clip_by_global_norm(500.0),  # nats of thousands of values: the first steps would throw it far
        optax.adam(lambda step: config.learning_rate / (1 + step / 20_000)),
    )
    update = chain(
        vae=minimize(elbo_loss(vae), adam, wrt=("encoder", "decoder")),
        encoder_average=ema("encoder", into="encoder_ema", decay=ema_warmup(0.999)),
        decoder_average=ema("decoder", into="decoder_ema", decay=ema_warmup(0.999)),
    )
    return Recipe(
        networks=lambda key: vae.init(key, {"image": jnp.zeros((1, *spec), jnp.uint8)}),
        update=update,
        sampler=lambda networks, keys: vae.sampler()(use_ema(networks), keys),
        pictures=lambda networks, batch: {
            picture.__name__: picture(vae, use_ema(networks), batch)
            for picture in (reconstructions, image_interpolations)
        },
        controls=lambda networks: vae.controls(use_ema(networks)),
    )


def main() -> None:
    """Trains and tests as the command line says."""
    config, console = tyro.cli(Config), Console()
    # Read first: what is missing is told before hours of training, not after.
    test = load(config.data, split="test", data_dir=config.data_dir)

    def measure(directory: RunDirectory) -> None:
        vae = make_model(config, test.spec)
        weigh = importance_weights(vae, use_ema(best_networks(config, build, directory, test.spec)))
        nll = negative_log_likelihood(
            weigh, test.arrays["image"], samples=config.test_samples, chunk=10, seed=config.seed
        )
        bits, error = (bits_per_dim(nats, math.prod(test.spec)) for nats in (nll.value, nll.standard_error or 0.0))
        console.print(f"Test {bits:.3f} ± {error:.3f} bits/dim")
        told = {"test_bits_per_dim": bits, "standard_error": error, "samples": config.test_samples, "data": test.source}
        write_whole(directory.path / "test.json", json.dumps(told, indent=2) + "\n")

    run(config, build, name="vae_cifar10", afterwards=measure if config.test_samples else None)


if __name__ == "__main__":
    command(main)
