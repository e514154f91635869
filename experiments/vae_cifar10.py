"""A variational autoencoder of colour images.  python experiments/vae_cifar10.py --help

The likelihood is a discretised mixture of logistics over the 256 levels of a value, so that the bound is in bits per
dimension.  It ends with the bound of the test images.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize
from jaxgen.evaluation import bits_of, images_to_test, mean_of, negative_log_likelihoods, write_results
from jaxgen.export import export_controls
from jaxgen.losses import discretized_logistic_mixture
from jaxgen.models import (
    VAE,
    elbo_loss,
    ema_networks,
    ema_warmup,
    image_interpolations,
    importance_weights,
    reconstructions,
    use_ema,
)
from jaxgen.nets import ResidualDecoder, ResidualEncoder
from jaxgen.training import (
    Bounds,
    Count,
    Positive,
    Recipe,
    RunConfig,
    RunDirectory,
    best_networks,
    command,
    load_split,
    run,
)


@dataclass(frozen=True)
class Config(RunConfig):
    """Encode and draw CIFAR-10 with a residual VAE."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"test_samples", "test_images"}

    data: Literal["cifar10"] = "cifar10"
    """Prepared by TFDS as array_record, under --data-dir."""
    max_minutes: Positive = 60.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 64
    """Images per step, over all devices."""
    latent_size: Count = 128
    """Latent dimension."""
    width: Count = 32
    """Channels of the maps of half the image's sides; those of a quarter have twice as many."""
    blocks: Count = 2
    """Residual blocks at each size."""
    components: Count = 5
    """Logistics in a mixture."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 20,000)."""
    test_samples: Annotated[int, Bounds(least=0)] = 10
    """Importance samples per test image; 0 for no test."""
    test_images: Annotated[int, Bounds(least=0)] = 10_000
    """Test images for the evaluation, fewer for a run of fewer than 1,000 steps; 0 for no test."""


def make_model(config: Config, spec: ImageSpec) -> VAE:
    """The model."""
    likelihood = discretized_logistic_mixture(config.components)
    output = spec._replace(channels=likelihood.num_params(spec.channels))
    return VAE(
        encoder=ResidualEncoder(config.latent_size, config.width, config.blocks, dtype=config.dtype),
        decoder=ResidualDecoder(output, config.width, config.blocks, dtype=config.dtype),
        likelihood=likelihood,
        latent_size=config.latent_size,
    )


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    vae = make_model(config, spec)
    adam = optax.chain(
        optax.clip_by_global_norm(500.0),  # the first gradients, of thousands of nats, would diverge
        optax.adam(lambda step: config.learning_rate / (1 + step / 20_000)),
    )
    update = chain(
        vae=minimize(elbo_loss(vae), adam, wrt=("encoder", "decoder")),
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
            }
        ),
        exports={"controls": export_controls(use_ema(vae.controls))},
    )


def main() -> None:
    """Trains and tests as the command line says."""
    config = tyro.cli(Config)
    # Read first: missing data are an error before hours of training, not after.
    test = load_split(config, "test")

    def measure(directory: RunDirectory) -> None:
        vae = make_model(config, test.spec)
        networks = ema_networks(best_networks(config, build, directory, test.spec))
        weigh = importance_weights(vae, networks)
        images = images_to_test(test.arrays["image"], directory.step(), config.test_images)
        nll = negative_log_likelihoods(weigh, images, samples=config.test_samples, chunk=10, seed=config.seed)
        write_results(
            directory.path / "test.json",
            {"test": {"bits/dim": bits_of(mean_of(nll), math.prod(test.spec))}},
            title=f"{len(nll):,} test images",
            details={"images": len(nll), "samples": config.test_samples, "data": test.source},
        )

    is_tested = config.test_samples and config.test_images
    run(config, build, name="vae_cifar10", afterwards=measure if is_tested else None)


if __name__ == "__main__":
    command(main)
