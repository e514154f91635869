"""A network that completes digits.  python experiments/cnn_inpaint_mnist.py --help

It is given images that something was done to, and learns what they were: a part is hidden, there is noise, or pixels
are large.  It ends with the test images: a picture of inputs, of what the network makes of them and of the truth, and
how near it is beside what is made without a network.  Afterwards

    python -m jaxgen restore runs/cnn_inpaint_mnist --images damaged.png --mask mask.png --out completed.png
"""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize, to_float, to_uint8
from jaxgen.data import load
from jaxgen.evaluation import degraded, report_restoration
from jaxgen.export import load_sampler
from jaxgen.losses import charbonnier_error
from jaxgen.models import (
    ImageToImage,
    denoise,
    ema_warmup,
    images,
    inpaint,
    random_block,
    random_half,
    restoration_loss,
    super_resolve,
)
from jaxgen.nets import UNet
from jaxgen.training import Count, Positive, Recipe, RunConfig, RunDirectory, command, run

TASKS = {
    "inpaint": (inpaint(random_block()), "mean fill"),
    "complete": (inpaint(random_half()), "mean fill"),
    "denoise": (denoise(), "noisy image"),
    "super_resolve_x2": (super_resolve(2), "bicubic"),
    "super_resolve_x4": (super_resolve(4), "bicubic"),
}
"""What there is to do, and what the way without a network is called."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Complete, clean or sharpen MNIST digits with a U-Net."""

    data: Literal["mnist", "fashion_mnist"] = "mnist"
    """The training split to learn from, the test split to be judged by."""
    task: Literal["inpaint", "complete", "denoise", "super_resolve_x2", "super_resolve_x4"] = "inpaint"
    """inpaint: a block is hidden; complete: a half is; denoise: normal noise is added; super_resolve: four or sixteen
    pixels are one."""
    batch_size: Count = 32
    """Images a step."""
    width: Count = 32
    """Channels of the maps of half the image's sides; those of a quarter have twice as many."""
    learning_rate: Positive = 2e-3
    """Adam's at the start; it is half as much after 2,000 steps, a third after 4,000."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to restore images with it."""
    task, _ = TASKS[config.task]
    model = ImageToImage(UNet(spec.channels, config.width, levels=1, folded=True), task)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 2_000))
    update = chain(
        cnn=minimize(restoration_loss(model, charbonnier_error()), adam, wrt="generator"),
        average=ema("generator", into="generator_ema", decay=ema_warmup(0.999)),
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
    config = tyro.cli(Config)
    task, baseline = TASKS[config.task]
    # Read first: what is missing is told before training, not after.
    test = load(config.data, split="test", data_dir=config.data_dir, offline=config.offline)
    truth = test.arrays["image"]

    def judge(directory: RunDirectory) -> None:
        inputs = degraded(task, truth, config.seed)
        made = {
            "network": load_sampler(directory.sampler).draw(config.seed, len(truth), field=truth),
            baseline: to_uint8(task.baseline(inputs)),
        }
        if config.task in ("inpaint", "complete"):
            made["mean of the test images"] = to_uint8(task.complete(inputs, to_float(jnp.asarray(truth)).mean(0)))
        report_restoration(directory.path, inputs, made, truth)

    run(config, build, name="cnn_inpaint_mnist", afterwards=judge)


if __name__ == "__main__":
    command(main)
