"""An autoregressive model of colour images.  python experiments/pixelcnn_cifar10.py --help

PixelCNN++ predicts each pixel from the pixels before it, so that its likelihood is exact, in bits per dimension.  It
ends with that of the test images, and with completions of their upper halves.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import jax
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize
from jaxgen.evaluation import bits_of, images_to_test, in_parts, mean_of, write_results
from jaxgen.export import save_grid
from jaxgen.losses import discretized_logistic_mixture
from jaxgen.models import PixelCNN, completions, ema_networks, ema_warmup, pixelcnn_loss, use_ema
from jaxgen.nets import PixelCNNPlusPlus
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
    """Fit CIFAR-10 with PixelCNN++ and evaluate the bits per dimension of its test images."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"temperature", "test_images"}

    data: Literal["cifar10"] = "cifar10"
    """Prepared by TFDS as array_record, under --data-dir."""
    max_minutes: Positive = 60.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 16
    """Images per step, over all devices."""
    width: Count = 64
    """Channels of both streams; the paper has 160."""
    levels: Count = 3
    """Sizes of maps, each half as large as the one before."""
    blocks: Count = 2
    """Gated blocks at each size, on the way down and on the way back; the paper has 5 and 6."""
    dropout: Annotated[float, Bounds(least=0, most=0.9)] = 0.0
    """Dropout rate; the paper has 0.5."""
    components: Count = 5
    """Logistics in a mixture; the paper has 10."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 20,000)."""
    temperature: Positive = 1.0
    """Sampling temperature of samples and completions; below 1 they concentrate on the modes."""
    test_images: Annotated[int, Bounds(least=0)] = 10_000
    """Test images for the evaluation, fewer for a run of fewer than 1,000 steps; 0 for no test."""


def make_model(config: Config, spec: ImageSpec) -> PixelCNN:
    """The model."""
    likelihood = discretized_logistic_mixture(config.components)
    sizes = config.width, config.levels, config.blocks, config.dropout
    return PixelCNN(
        PixelCNNPlusPlus(likelihood.num_params(spec.channels), *sizes, dtype=config.dtype), likelihood, spec
    )


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to sample from it."""
    model = make_model(config, spec)
    adam = optax.chain(
        optax.clip_by_global_norm(500.0),  # the first gradients, of thousands of nats, would diverge
        optax.adam(lambda step: config.learning_rate / (1 + step / 20_000)),
    )
    return Recipe(
        networks=partial(model.init, spec=spec),
        update=chain(
            pixelcnn=minimize(pixelcnn_loss(model), adam, wrt="pixelcnn"),
            average=ema("pixelcnn", into="pixelcnn_ema", decay=ema_warmup(0.999)),
        ),
        sampler=use_ema(model.sampler(config.temperature)),
    )


def main() -> None:
    """Trains and tests as the command line says."""
    config = tyro.cli(Config)
    # Read first: missing data are an error before hours of training, not after.
    test = load_split(config, "test")

    def test_and_draw(directory: RunDirectory) -> None:
        model, images = make_model(config, test.spec), test.arrays["image"]
        chosen = images_to_test(images, directory.step(), config.test_images)
        networks = ema_networks(best_networks(config, build, directory, test.spec))
        log_prob = jax.jit(lambda images: model.log_prob(networks, {"image": images}))
        nll = -in_parts(log_prob, chosen, size=50)
        write_results(
            directory.path / "test.json",
            {"test": {"bits/dim": bits_of(mean_of(nll), math.prod(test.spec))}},
            title=f"{len(nll):,} test images",
            details={"images": len(nll), "data": test.source},
        )
        table = completions(model, networks, {"image": images[:8]}, temperature=config.temperature)
        save_grid(directory.path / "completions.png", np.asarray(table).reshape(-1, *test.spec), columns=table.shape[1])

    run(config, build, name="pixelcnn_cifar10", afterwards=test_and_draw if config.test_images else None)


if __name__ == "__main__":
    command(main)
