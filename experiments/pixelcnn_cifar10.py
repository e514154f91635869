"""An autoregressive model of colour images.  python experiments/pixelcnn_cifar10.py --help

PixelCNN++ says of each pixel, given those before it, how likely each of its colours is, so it tells the bits that it
takes to store an image.  It ends with that of the test images, and with images whose lower halves it made up.
"""

import json
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from rich.console import Console

from jaxgen import ImageSpec, chain, ema, minimize
from jaxgen.data import load
from jaxgen.evaluation import bits_per_dim, mean_of
from jaxgen.export import save_grid
from jaxgen.io.files import write_whole
from jaxgen.losses import discretized_logistic_mixture
from jaxgen.models import PixelCNN, completions, ema_warmup, pixelcnn_loss, use_ema
from jaxgen.nets import PixelCNNPlusPlus
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, best_networks, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Fit CIFAR-10 with PixelCNN++ and tell the bits of its test images."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"temperature", "test_images"}

    data: Literal["cifar10"] = "cifar10"
    """Prepared by TFDS as array_record; looked for in --data-dir."""
    max_minutes: Positive = 60.0
    """Stop after this long with everything saved; the same command goes on from there."""
    batch_size: Count = 16
    """Images a step."""
    width: Count = 64
    """Channels of both streams; the paper has 160."""
    levels: Count = 3
    """Sizes of maps, each half as large as the one before."""
    blocks: Count = 2
    """Gated blocks at each size, on the way down and on the way back; the paper has 5 and 6."""
    dropout: Annotated[float, Bounds(least=0, most=0.9)] = 0.0
    """Share of features that is dropped in training; the paper has 0.5."""
    components: Count = 5
    """Logistics in a mixture; the paper has 10."""
    learning_rate: Positive = 1e-3
    """Adam's at the start; it is half as much after 20,000 steps, a third after 40,000."""
    temperature: Positive = 1.0
    """Of samples and completions: below 1, what is likely is more so."""
    test_images: Annotated[int, Bounds(least=0)] = 10_000
    """How many test images tell the bits; 0 for no test."""


def make_model(config: Config, spec: ImageSpec) -> PixelCNN:
    """The network and what it means."""
    likelihood = discretized_logistic_mixture(config.components)
    sizes = config.width, config.levels, config.blocks, config.dropout
    return PixelCNN(PixelCNNPlusPlus(likelihood.dist_params(spec.channels), *sizes), likelihood, spec)


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to draw from it."""
    model = make_model(config, spec)
    adam = optax.chain(
        optax.clip_by_global_norm(500.0),  # nats of thousands of values: the first steps would throw it far
        optax.adam(lambda step: config.learning_rate / (1 + step / 20_000)),
    )
    return Recipe(
        networks=lambda key: model.init(key, {"image": jnp.zeros((1, *spec), jnp.uint8)}),
        update=chain(
            pixelcnn=minimize(pixelcnn_loss(model), adam, wrt="pixelcnn"),
            average=ema("pixelcnn", into="pixelcnn_ema", decay=ema_warmup(0.999)),
        ),
        sampler=lambda networks, keys: model.sampler(config.temperature)(use_ema(networks), keys),
    )


def main() -> None:
    """Trains and tests as the command line says."""
    config, console = tyro.cli(Config), Console()
    # Read first: what is missing is told before hours of training, not after.
    test = load(config.data, split="test", data_dir=config.data_dir)

    def test_and_draw(directory: RunDirectory) -> None:
        model, images = make_model(config, test.spec), test.arrays["image"][: config.test_images]
        networks = use_ema(best_networks(config, build, directory, test.spec))
        log_prob = jax.jit(lambda images: model.log_prob(networks, {"image": images}))
        parts = np.array_split(images, math.ceil(len(images) / 50))
        nll = mean_of(-np.concatenate([np.asarray(log_prob(part)) for part in parts]))
        bits, error = (bits_per_dim(nats, math.prod(test.spec)) for nats in (nll.value, nll.standard_error or 0.0))
        console.print(f"Test {bits:.3f} ± {error:.3f} bits/dim of {len(images):,} images")
        told = {"test_bits_per_dim": bits, "standard_error": error, "images": len(images), "data": test.source}
        write_whole(directory.path / "test.json", json.dumps(told, indent=2) + "\n")
        table = completions(model, networks, {"image": images[:8]}, temperature=config.temperature)
        save_grid(directory.path / "completions.png", np.asarray(table).reshape(-1, *test.spec), columns=table.shape[1])

    run(config, build, name="pixelcnn_cifar10", afterwards=test_and_draw if config.test_images else None)


if __name__ == "__main__":
    command(main)
