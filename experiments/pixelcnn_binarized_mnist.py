"""The exact likelihood of binarised digits.  python experiments/pixelcnn_binarized_mnist.py --help

A gated PixelCNN reads an image from left to right and from top to bottom, and says of each pixel how likely it is to be
white.  It is trained on 50,000 digits that are black or white once and for all; the state that is best on the 10,000
validation digits is kept, and tells the likelihood of the 10,000 test digits.
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

from jaxgen import ImageSpec, Networks, chain, ema, minimize
from jaxgen.data import load
from jaxgen.evaluation import Estimate, bits_per_dim, mean_of
from jaxgen.export import save_grid
from jaxgen.io.files import write_whole
from jaxgen.losses import bernoulli
from jaxgen.models import PixelCNN, completions, ema_warmup, pixelcnn_loss, use_ema
from jaxgen.nets import GatedPixelCNN
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, best_networks, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Fit statically binarised MNIST with a gated PixelCNN and tell the likelihood of its test digits."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"temperature"}

    data: Literal["binarized_mnist"] = "binarized_mnist"
    """The benchmark; its files are looked for in --data-dir."""
    max_minutes: Positive = 75.0
    """Stop after this long with everything saved; the same command goes on from there."""
    batch_size: Count = 16
    """Images a step."""
    evaluate_every: Annotated[int, Bounds(least=0)] = 2_500
    """Steps between likelihoods of the validation digits; the best state is kept in best/.  0 for none."""
    width: Count = 32
    """Channels of both stacks."""
    dilations: tuple[Count, ...] = (1, 2, 4, 8)
    """A layer with a kernel of 3 for each, after the first with one of 7."""
    learning_rate: Positive = 2e-3
    """Adam's at the start; it is half as much after --half-life steps, a third after twice as many."""
    half_life: Count = 5_000
    """See --learning-rate."""
    temperature: Positive = 1.0
    """Of samples and completions: below 1, what is likely is more so."""


def make_model(config: Config, spec: ImageSpec) -> PixelCNN:
    """The network and what it means."""
    likelihood = bernoulli()
    network = GatedPixelCNN(likelihood.dist_params(spec.channels), config.width, config.dilations)
    return PixelCNN(network, likelihood, spec)


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, how to draw from it, and how good it is on the validation digits."""
    model = make_model(config, spec)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / config.half_life))
    held_out = load(config.data, split="validation", data_dir=config.data_dir).arrays["image"]
    return Recipe(
        networks=lambda key: model.init(key, {"image": jnp.zeros((1, *spec), jnp.uint8)}),
        update=chain(
            pixelcnn=minimize(pixelcnn_loss(model), adam, wrt="pixelcnn"),
            average=ema("pixelcnn", into="pixelcnn_ema", decay=ema_warmup(0.999)),
        ),
        sampler=lambda networks, keys: model.sampler(config.temperature)(use_ema(networks), keys),
        score=lambda networks: {"validation_nll": measure(model, networks, held_out).value},
    )


def measure(model: PixelCNN, networks: Networks, images: np.ndarray) -> Estimate:
    """The mean negative log-likelihood of images under the averaged network, in nats."""
    log_prob = jax.jit(lambda networks, images: model.log_prob(use_ema(networks), {"image": images}))
    parts = np.array_split(images, math.ceil(len(images) / 100))
    return mean_of(-np.concatenate([np.asarray(log_prob(networks, part)) for part in parts]))


def main() -> None:
    """Trains and tests as the command line says."""
    config, console = tyro.cli(Config), Console()
    # Read first: what is missing is told before hours of training, not after.
    test = load(config.data, split="test", data_dir=config.data_dir)

    def test_and_draw(directory: RunDirectory) -> None:
        model, networks = make_model(config, test.spec), best_networks(config, build, directory, test.spec)
        images = test.arrays["image"]
        nll = measure(model, networks, images)
        bits = bits_per_dim(nll.value, math.prod(test.spec))
        console.print(f"Test NLL {nll:.2f} nats ({bits:.4f} bits/dim)")
        told = {"test_nll": nll.value, "standard_error": nll.standard_error, "bits_per_dim": bits, "data": test.source}
        write_whole(directory.path / "test.json", json.dumps(told, indent=2) + "\n")
        some = images[:: max(1, len(images) // 8)][:8]  # the files are sorted by digit
        table = completions(model, use_ema(networks), {"image": some}, temperature=config.temperature)
        save_grid(directory.path / "completions.png", np.asarray(table).reshape(-1, *test.spec), columns=table.shape[1])

    run(config, build, name="pixelcnn_binarized_mnist", afterwards=test_and_draw)


if __name__ == "__main__":
    command(main)
