"""A network that colours grey images.  python experiments/cnn_colorize_cifar10.py --help

It is given the luma of images and learns their colours.  It ends with the test images: a picture of inputs, of what the
network makes of them and of the truth, and how near it is beside grey.  Grey images of your own are coloured by

    python -m jaxgen restore runs/cnn_colorize_cifar10 --images photographs --out coloured.png
"""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize, to_uint8
from jaxgen.condition import images
from jaxgen.data import load
from jaxgen.experiment import Count, Positive, Recipe, RunConfig, command, run
from jaxgen.export import load_sampler
from jaxgen.held_out import degraded, tell_held_out
from jaxgen.losses import squared_error
from jaxgen.models import ImageToImage, colourise, restoration_loss, warming_up
from jaxgen.nets import UNet
from jaxgen.report import RunDirectory


@dataclass(frozen=True)
class Config(RunConfig):
    """Colour CIFAR-10 with a U-Net."""

    data: Literal["cifar10"] = "cifar10"
    """Prepared by TFDS as array_record; looked for in --data-dir."""
    batch_size: Count = 32
    """Images a step."""
    width: Count = 32
    """Channels of the maps of half the image's sides; each half of those has twice as many."""
    learning_rate: Positive = 2e-3
    """Adam's at the start; it is half as much after 2,000 steps, a third after 4,000."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to colour images with it."""
    model = ImageToImage(UNet(spec.channels, config.width, folded=True), colourise())
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 2_000))
    update = chain(
        cnn=minimize(restoration_loss(model, squared_error), adam, wrt="generator"),
        average=ema("generator", into="generator_ema", decay=warming_up(0.999)),
    )
    return Recipe(
        networks=lambda key: model.init(key, {"image": jnp.zeros((1, *spec), jnp.uint8)}),
        update=update,
        sampler=model.sampler("generator_ema"),
        condition=images(spec),
        restorer=model.restorer("generator_ema"),
    )


def main() -> None:
    """Trains and tests as the command line says."""
    config, task = tyro.cli(Config), colourise()
    # Read first: what is missing is told before training, not after.
    test = load(config.data, split="test", data_dir=config.data_dir)
    truth = test.arrays["image"]

    def judge(directory: RunDirectory) -> None:
        inputs = degraded(task, truth, config.seed)
        made = {
            "network": load_sampler(directory.sampler).draw(config.seed, len(truth), field=truth),
            "grey": to_uint8(task.baseline(inputs)),
        }
        tell_held_out(directory, inputs, made, truth)

    run(config, build, name="cnn_colorize_cifar10", afterwards=judge)


if __name__ == "__main__":
    command(main)
