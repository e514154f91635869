"""The likelihood of binarised digits under a diffusion model.  python experiments/diffusion_binarized_mnist.py --help

The network minimises the variational bound itself: Kingma et al. (2021), https://arxiv.org/abs/2107.00630.  It trains
on the 50,000 digits of statically binarised MNIST; the best state on 1,000 validation digits is kept, and the bound of
the 10,000 test digits is evaluated, in nats, comparable with those of a VAE and the likelihoods of a PixelCNN.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import Array, ImageSpec, Networks, chain, ema, minimize, scale
from jaxgen.evaluation import BOUND, Estimate, images_to_test, measure_bound, write_results
from jaxgen.export import export_controls, export_denoiser
from jaxgen.models import Diffusion, denoising_loss, ema_networks, power_decay, use_ema
from jaxgen.models.diffusion import (
    added_noise,
    clean,
    karras_grid,
    log_uniform_times,
    signal_to_noise,
    variance_exploding,
    variational_bound,
)
from jaxgen.nets import DiffusionUNet
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

LEAST, MOST = 0.25, 30.0
"""The noise levels at which the network trains: below them every pixel is certain, above them none is."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Fit statically binarised MNIST with a diffusion model and evaluate the variational bound of its test digits."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"sample_steps", "test_images", "levels"}

    data: Literal["binarized_mnist"] = "binarized_mnist"
    """The benchmark, whose files are under --data-dir."""
    max_minutes: Positive = 120.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    evaluate_every: Annotated[int, Bounds(least=0)] = 5_000
    """Steps between evaluations on the validation digits; the best state is kept in best/.  0 for none."""
    width: Count = 32
    """Channels of the U-Net's largest map."""
    sample_steps: Annotated[int, Bounds(least=2)] = 18
    """Steps of Heun's method for an image, two evaluations of the network each but the last."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 10,000)."""
    levels: Count = 16
    """Noise levels at which the bound of each test digit is estimated."""
    test_images: Annotated[int, Bounds(least=0)] = 10_000
    """Test digits for the evaluation, fewer for a run of fewer than 1,000 steps; 0 for no test."""


class BinaryDenoiser(nn.Module):
    """The posterior mean of pixels -1 or 1: tanh(x_t / sigma^2 + network), whose argument is half the log odds.

    The first term is the likelihood of a pixel's own noised value; the network learns what the other pixels add.
    """

    network: nn.Module

    @nn.compact
    def __call__(self, image: Array, *, train: bool, noise_level: Array) -> Array:
        # Without noise the mean is the image; at 1e-3 it is that to all digits, and gradients are finite.
        sigma = jnp.maximum(noise_level / (1 - noise_level), 1e-3)[:, None, None, None]
        own = image * jnp.sqrt(1 + jnp.square(sigma)) / jnp.square(sigma)
        return jnp.tanh(own + self.network(image, train=train, noise_level=noise_level))


def make_model(config: Config, spec: ImageSpec) -> Diffusion:
    """The model."""
    return Diffusion(
        network=BinaryDenoiser(DiffusionUNet(config.width, (1, 2, 2), 1, dtype=config.dtype)),
        spec=spec,
        schedule=variance_exploding(times=log_uniform_times(LEAST, MOST)),
        prediction=clean,
        grid=karras_grid(config.sample_steps, least=LEAST / 4),
    )


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, how to sample from it, and its bound of validation digits."""
    model = make_model(config, spec)
    # With this factor the loss is the diffusion term of the bound between these noise levels, in nats per image.
    nats = math.prod(spec) * math.log(MOST / LEAST)
    loss = scale(nats, denoising_loss(model, signal_to_noise))
    held_out = load_split(config, "validation").arrays["image"][::10]
    return Recipe(
        networks=partial(model.init, spec=spec),
        update=chain(
            denoiser=minimize(
                loss, optax.adam(lambda step: config.learning_rate / (1 + step / 10_000)), wrt="denoiser"
            ),
            average=ema("denoiser", into="denoiser_ema", decay=power_decay(0.1)),
        ),
        sampler=use_ema(model.sampler()),
        exports={
            "controls": export_controls(use_ema(model.controls)),
            "denoiser": export_denoiser(use_ema(added_noise(model))),
        },
        score=lambda networks: {"validation_bound": measure(model, networks, held_out, 16)[BOUND].value},
    )


def measure(model: Diffusion, networks: Networks, images: np.ndarray, levels: int) -> dict[str, Estimate]:
    """The bound of images under the averaged network, and its terms, in nats."""
    bound = variational_bound(model, ema_networks(networks), levels=2, samples=levels)
    return measure_bound(bound, images, levels=2)


def main() -> None:
    """Trains and tests as the command line says."""
    config = tyro.cli(Config)
    # Read first: missing data are an error before hours of training, not after.
    test = load_split(config, "test")

    def test_digits(directory: RunDirectory) -> None:
        model, networks = make_model(config, test.spec), best_networks(config, build, directory, test.spec)
        images = images_to_test(test.arrays["image"], directory.step(), config.test_images)
        results = {"test": measure(model, networks, images, config.levels)}
        details = {"images": len(images), "data": test.source}
        write_results(directory.path / "test.json", results, title=f"{len(images):,} test digits", details=details)

    run(config, build, name="diffusion_binarized_mnist", afterwards=test_digits if config.test_images else None)


if __name__ == "__main__":
    command(main)
