"""A network that colours grey images.  python experiments/cnn_colorize_cifar10.py --help

It restores colours from luma.  The colours of least error are grey or brown, so a discriminator conditioned on the
luma is added, as in pix2pix: Isola et al. (2017), https://arxiv.org/abs/1611.07004.  At the end it restores the test
images: a picture of inputs, restored images and the truth, and PSNR, SSIM and colourfulness, with grey as the baseline.
Afterwards, colour your own grey images:

    python -m jaxgen restore runs/cnn_colorize_cifar10 --images photographs --out coloured.png
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import optax
import tyro

from jaxgen import ImageSpec, add, chain, ema, lazily, minimize, scale, to_uint8
from jaxgen.evaluation import degraded, images_to_test, report_restoration
from jaxgen.export import export_restorer, load_sampler
from jaxgen.losses import absolute_error, logistic_discriminator, non_saturating_generator
from jaxgen.models import (
    ImageToImage,
    colourise,
    discriminator_loss,
    ema_warmup,
    generator_loss,
    r1_loss,
    restoration_loss,
    share_inputs,
    translation_game,
    translation_networks,
    use_ema,
)
from jaxgen.nets import PatchDiscriminator, UNet
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, command, load_split, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Colour CIFAR-10 with a U-Net and a discriminator."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"test_images"}

    data: Literal["cifar10"] = "cifar10"
    """Prepared by TFDS as array_record, under --data-dir."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    width: Count = 32
    """Channels of both networks' maps of half the image's sides; each half of those has twice as many."""
    learning_rate: Positive = 2e-3
    """Adam's; it decays as lr / (1 + step / 4,000)."""
    nearness: Annotated[float, Bounds(least=0)] = 10.0
    """Weight of the absolute error; that of the adversarial loss is 1.  pix2pix has 100, which leaves most of CIFAR-10
    brown."""
    gamma: Annotated[float, Bounds(least=0)] = 1.0
    """Weight of the gradient penalty R1."""
    test_images: Annotated[int, Bounds(least=0)] = 10_000
    """Test images for the evaluation, fewer for a run of fewer than 1,000 steps; 0 for no test."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to colour images with them."""
    model = ImageToImage(UNet(spec.channels, config.width, folded=True, dtype=config.dtype), colourise())
    gan = translation_game(model, PatchDiscriminator(config.width, dtype=config.dtype))
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 4_000), b1=0.0, b2=0.99)
    update = chain(
        discriminator=minimize(
            add(
                adversarial=discriminator_loss(gan, logistic_discriminator),
                r1=lazily(4, r1_loss(gan, gamma=config.gamma, one_in=4)),
            ),
            adam,
            wrt="discriminator",
        ),
        generator=minimize(
            add(
                adversarial=generator_loss(gan, non_saturating_generator),
                near=scale(config.nearness, restoration_loss(model, absolute_error)),
            ),
            adam,
            wrt="generator",
        ),
        average=ema("generator", into="generator_ema", decay=ema_warmup(0.999)),
    )
    return Recipe(
        networks=partial(translation_networks, model, gan, spec=spec),
        update=share_inputs(model, gan, update),
        discriminators=("discriminator/adversarial",),
        sampler=use_ema(model.sampler(spec)),
        exports={"restorer": export_restorer(use_ema(model.restorer))},
    )


def main() -> None:
    """Trains and tests as the command line says."""
    config, task = tyro.cli(Config), colourise()
    # Read first: missing data are an error before training, not after.
    test = load_split(config, "test")

    def evaluate(directory: RunDirectory) -> None:
        truth = images_to_test(test.arrays["image"], directory.step(), config.test_images)
        inputs = degraded(task, truth, config.seed)
        made = {
            "network": load_sampler(directory.sampler).draw(config.seed, len(truth), fields={"image": truth}),
            "grey": to_uint8(task.baseline(inputs)),
        }
        report_restoration(directory.path, inputs, made, truth)

    run(config, build, name="cnn_colorize_cifar10", afterwards=evaluate if config.test_images else None)


if __name__ == "__main__":
    command(main)
