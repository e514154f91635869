"""The exact likelihood of binarised digits.  python experiments/pixelcnn_binarized_mnist.py --help

A gated PixelCNN predicts each pixel from the pixels before it in raster order.  It trains on the 50,000 digits of
statically binarised MNIST; the best state on the 10,000 validation digits is kept and evaluated on the 10,000 test
digits.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import jax
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, Networks, chain, ema, minimize
from jaxgen.evaluation import bits_of, images_to_test, in_parts, mean_of, write_results
from jaxgen.export import save_grid
from jaxgen.losses import bernoulli
from jaxgen.models import PixelCNN, completions, ema_networks, ema_warmup, pixelcnn_loss, use_ema
from jaxgen.nets import GatedPixelCNN
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
    """Fit statically binarised MNIST with a gated PixelCNN and evaluate the likelihood of its test digits."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"temperature", "test_images"}

    data: Literal["binarized_mnist"] = "binarized_mnist"
    """The benchmark, whose files are under --data-dir."""
    max_minutes: Positive = 75.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 16
    """Images per step, over all devices."""
    evaluate_every: Annotated[int, Bounds(least=0)] = 2_500
    """Steps between evaluations on the validation digits; the best state is kept in best/.  0 for none."""
    width: Count = 32
    """Channels of both stacks."""
    dilations: tuple[Count, ...] = (1, 2, 4, 8)
    """Dilations of the layers with a kernel of 3, after the first layer with a kernel of 7."""
    learning_rate: Positive = 2e-3
    """Adam's at the first step; at step n it is lr / (1 + n / half_life)."""
    half_life: Count = 5_000
    """The step at which the learning rate is half of what it was at first; at twice that step, a third."""
    temperature: Positive = 1.0
    """Sampling temperature of samples and completions; below 1 they concentrate on the modes."""
    test_images: Annotated[int, Bounds(least=0)] = 10_000
    """Test digits for the evaluation, fewer for a run of fewer than 1,000 steps; 0 for no test."""


def make_model(config: Config, spec: ImageSpec) -> PixelCNN:
    """The model."""
    likelihood = bernoulli()
    network = GatedPixelCNN(likelihood.num_params(spec.channels), config.width, config.dilations, dtype=config.dtype)
    return PixelCNN(network, likelihood, spec)


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, how to sample from it, and its likelihood of the validation digits."""
    model = make_model(config, spec)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / config.half_life))
    held_out = load_split(config, "validation").arrays["image"]
    return Recipe(
        networks=partial(model.init, spec=spec),
        update=chain(
            pixelcnn=minimize(pixelcnn_loss(model), adam, wrt="pixelcnn"),
            average=ema("pixelcnn", into="pixelcnn_ema", decay=ema_warmup(0.999)),
        ),
        sampler=use_ema(model.sampler(config.temperature)),
        score=lambda networks: {"validation_nll": mean_of(measure(model, networks, held_out)).value},
    )


def measure(model: PixelCNN, networks: Networks, images: np.ndarray) -> np.ndarray:
    """The negative log-likelihood [N] of images under the averaged network, in nats."""
    log_prob = jax.jit(lambda networks, images: model.log_prob(ema_networks(networks), {"image": images}))
    return -in_parts(partial(log_prob, networks), images)


def main() -> None:
    """Trains and tests as the command line says."""
    config = tyro.cli(Config)
    # Read first: missing data are an error before hours of training, not after.
    test = load_split(config, "test")

    def test_and_draw(directory: RunDirectory) -> None:
        model, networks = make_model(config, test.spec), best_networks(config, build, directory, test.spec)
        images = test.arrays["image"]
        values = measure(model, networks, images_to_test(images, directory.step(), config.test_images))
        nll = mean_of(values)
        results = {"test": {"NLL, nats": nll, "bits/dim": bits_of(nll, math.prod(test.spec))}}
        title = f"{len(values):,} test digits"
        write_results(
            directory.path / "test.json", results, title=title, details={"images": len(values), "data": test.source}
        )
        some = images[:: max(1, len(images) // 8)][:8]  # the files are sorted by digit
        table = completions(model, ema_networks(networks), {"image": some}, temperature=config.temperature)
        save_grid(directory.path / "completions.png", np.asarray(table).reshape(-1, *test.spec), columns=table.shape[1])

    run(config, build, name="pixelcnn_binarized_mnist", afterwards=test_and_draw if config.test_images else None)


if __name__ == "__main__":
    command(main)
