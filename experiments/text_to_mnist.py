"""A GAN that draws the digit that words ask for.  python experiments/text_to_mnist.py --help

Captions are written from the labels in several wordings.  Each network has an encoder of words of its own; the
discriminator also learns to tell digits from digits with another digit's caption: Reed et al. (2016),
https://arxiv.org/abs/1605.05396.  At the end a classifier that has no part in training says how often the digit asked
for is the digit drawn.  The same for the things of CIFAR-10: --data cifar10.  Afterwards

    python -m jaxgen sample runs/text_to_mnist --text "a handwritten seven" --num 64 --out sevens.png
"""

import json
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import jax
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, add, chain, ema, lazily, minimize
from jaxgen.data import CIFAR10, DIGITS, Dataset, caption_labels, with_text
from jaxgen.data.tokenizer import train_tokenizer
from jaxgen.evaluation import cifar10_network, digit_network, label_accuracy
from jaxgen.export import load_sampler
from jaxgen.io.files import write_whole
from jaxgen.losses import logistic_discriminator, non_saturating_generator
from jaxgen.models import (
    GAN,
    discriminator_loss,
    ema_warmup,
    generator_loss,
    mismatched_loss,
    r1_loss,
    r2_loss,
    share_images,
    text,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, TextEncoder, WithText
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, command, run

KINDS = {"mnist": (DIGITS, digit_network), "cifar10": (CIFAR10, cifar10_network)}
"""What captions say, and the network that judges: of test images it is right about 99.1% of the digits and 83.8% of the
photographs."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw MNIST digits (or CIFAR-10's things) that words ask for, with a conditional DCGAN."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"judged"}

    data: Literal["mnist", "cifar10"] = "mnist"
    """What captions are written for."""
    batch_size: Count = 32
    """Images a step."""
    words: Count = 10
    """Words of a caption at most."""
    vocabulary: Annotated[int, Bounds(least=3)] = 64
    """Words that are known at most, and two more numbers."""
    width: Count = 32
    """Channels of the layer below the image; each layer below that has twice as many."""
    hidden: Annotated[int, Bounds(least=0)] = 256
    """Features of the dense layer between latent and maps, and between maps and logit; 0 for none."""
    latent_size: Count = 64
    """Numbers that an image is drawn from, besides its caption."""
    learning_rate: Positive = 2e-3
    """Adam's for both networks at the start; it is half as much after 8,000 steps, a third after 16,000."""
    gamma: Annotated[float, Bounds(least=0)] = 1.0
    """Weight of the gradient penalties R1 and R2."""
    judged: Annotated[int, Bounds(least=2)] = 1_000
    """Images that are judged at the end, for wordings of the training and as many for others."""


def captioned(config: Config, dataset: Dataset) -> Dataset:
    """The data with captions and their tokens."""
    dataset = caption_labels(dataset, KINDS[config.data][0])
    return with_text(dataset, train_tokenizer(dataset.captions, length=config.words, size=config.vocabulary))


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to draw from them."""
    he_normal = jax.nn.initializers.he_normal()
    generator = DCGANGenerator(spec, config.width, config.hidden, kernel_init=he_normal)
    discriminator = DCGANDiscriminator(config.width, config.hidden, normalize=False, kernel_init=he_normal)
    gan = GAN(
        generator=WithText(generator, TextEncoder(config.vocabulary, size=32)),
        discriminator=WithText(discriminator, TextEncoder(config.vocabulary, size=32)),
        latent_size=config.latent_size,
        condition=text(config.words),
    )
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 8_000), b1=0.0, b2=0.99)
    update = chain(
        discriminator=minimize(
            add(
                adversarial=discriminator_loss(gan, logistic_discriminator),
                mismatched=lazily(2, mismatched_loss(gan, logistic_discriminator)),
                r1=lazily(4, r1_loss(gan, gamma=config.gamma, one_in=4)),
                r2=lazily(4, r2_loss(gan, gamma=config.gamma, one_in=4)),
            ),
            adam,
            wrt="discriminator",
        ),
        generator=minimize(generator_loss(gan, non_saturating_generator), adam, wrt="generator"),
        average=ema("generator", into="generator_ema", decay=ema_warmup(0.9998)),
    )
    return Recipe(
        networks=gan.init,
        update=share_images(gan, update),
        sampler=gan.sampler("generator_ema"),
        condition=gan.condition,
        discriminator_loss="discriminator/adversarial",
        controls=gan.controls("generator_ema"),
    )


def judge(config: Config, directory: RunDirectory) -> None:
    """Prints and writes how often what was asked for is what was drawn."""
    wordings, network = KINDS[config.data]
    sampler, extract, accuracy = load_sampler(directory.sampler), network().extract, {}
    labels = np.arange(config.judged) % len(wordings.names)
    for kind, unseen in (("wordings of the training", False), ("unseen wordings", True)):
        drawn = sampler.draw(config.seed, config.judged, text=wordings.ask(labels, unseen=unseen))
        accuracy[kind] = label_accuracy(np.asarray(extract(drawn).probabilities), labels)
        print(f"What was asked for, {kind}: {accuracy[kind]:.1%}")
    told = {kind: estimate._asdict() for kind, estimate in accuracy.items()}
    write_whole(directory.path / "alignment.json", json.dumps({**told, "judged": config.judged}, indent=2) + "\n")


def main() -> None:
    """Trains and judges as the command line says."""
    config = tyro.cli(Config)
    run(
        config,
        build,
        name="text_to_mnist",
        prepare=lambda dataset: captioned(config, dataset),
        afterwards=lambda directory: judge(config, directory),
    )


if __name__ == "__main__":
    command(main)
