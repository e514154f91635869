"""A GAN that draws digits from captions.  python experiments/text_to_mnist.py --help

Captions are written from the labels in several wordings.  Each network has a text encoder of its own, and the
discriminator is matching-aware: Reed et al. (2016), https://arxiv.org/abs/1605.05396.  It ends with the label accuracy
of samples by a classifier that has no part in training.  --data cifar10 does the same for its classes.  Afterwards

    python -m jaxgen sample runs/text_to_mnist --text "a handwritten seven" --num 64 --out sevens.png
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import jax
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, add, chain, ema, lazily, minimize
from jaxgen.data import CIFAR10, DIGITS, Dataset, caption_labels, tokenized
from jaxgen.evaluation import cifar10_network, digit_network, label_accuracy, write_results
from jaxgen.export import export_controls, load_sampler
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
    use_ema,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, TextEncoder, WithText
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, command, run

KINDS = {"mnist": (DIGITS, digit_network), "cifar10": (CIFAR10, cifar10_network)}
"""The wordings, and the classifier for the evaluation: 99.1% of the test digits are right, and 83.8% of the
photographs."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw MNIST digits (or the classes of CIFAR-10) from captions with a conditional DCGAN."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"evaluated"}

    data: Literal["mnist", "cifar10"] = "mnist"
    """The data set for whose labels captions are written."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    words: Count = 10
    """The largest number of words of a caption."""
    vocabulary: Annotated[int, Bounds(least=3)] = 64
    """The largest size of the vocabulary, including two special tokens."""
    width: Count = 32
    """Channels of the layer next to the image; each smaller layer has twice as many."""
    hidden: Annotated[int, Bounds(least=0)] = 256
    """Features of the dense layer between the latent and the maps, and between the maps and the logit; 0 for none."""
    latent_size: Count = 64
    """Latent dimension."""
    learning_rate: Positive = 2e-3
    """Adam's for both networks; it decays as lr / (1 + step / 8,000)."""
    gamma: Annotated[float, Bounds(least=0)] = 1.0
    """Weight of the gradient penalties R1 and R2."""
    evaluated: Annotated[int, Bounds(least=2)] = 1_000
    """Samples that are evaluated at the end, for the training wordings and as many for unseen ones."""


def captioned(config: Config, dataset: Dataset) -> Dataset:
    """The data with captions and their tokens."""
    return tokenized(caption_labels(dataset, KINDS[config.data][0]), length=config.words, size=config.vocabulary)


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    he_normal = jax.nn.initializers.he_normal()
    generator = DCGANGenerator(spec, config.width, config.hidden, kernel_init=he_normal, dtype=config.dtype)
    discriminator = DCGANDiscriminator(
        config.width, config.hidden, normalize=False, kernel_init=he_normal, dtype=config.dtype
    )
    gan = GAN(
        generator=WithText(generator, TextEncoder(config.vocabulary, size=32, dtype=config.dtype)),
        discriminator=WithText(discriminator, TextEncoder(config.vocabulary, size=32, dtype=config.dtype)),
        latent_size=config.latent_size,
        conditions=text(config.words),
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
        networks=partial(gan.init, spec=spec),
        update=share_images(gan, update),
        sampler=use_ema(gan.sampler()),
        discriminators=("discriminator/adversarial",),
        exports={"controls": export_controls(use_ema(gan.controls))},
    )


def evaluate(config: Config, directory: RunDirectory) -> None:
    """Reports the label accuracy of samples for seen and for unseen wordings."""
    wordings, network = KINDS[config.data]
    sampler, extract, results = load_sampler(directory.sampler), network().extract, {}
    labels = np.arange(config.evaluated) % len(wordings.names)
    for kind, unseen in (("training wordings", False), ("unseen wordings", True)):
        drawn = sampler.draw(config.seed, config.evaluated, text=wordings.captions(labels, unseen=unseen))
        results[kind] = {"label accuracy": label_accuracy(np.asarray(extract(drawn).probabilities), labels)}
    title, details = f"{config.evaluated:,} samples each", {"images": config.evaluated}
    write_results(directory.path / "alignment.json", results, title=title, details=details)


def main() -> None:
    """Trains and evaluates as the command line says."""
    config = tyro.cli(Config)
    run(
        config,
        build,
        name="text_to_mnist",
        prepare=lambda dataset: captioned(config, dataset),
        afterwards=lambda directory: evaluate(config, directory),
    )


if __name__ == "__main__":
    command(main)
