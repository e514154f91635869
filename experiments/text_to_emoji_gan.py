"""Emoji from captions, by a GAN.  python experiments/text_to_emoji_gan.py --data <folder with metadata.jsonl>

Each network has a text encoder of its own, and the discriminator is matching-aware: Reed et al. (2016),
https://arxiv.org/abs/1605.05396.  There are few emoji, so the discriminator's inputs are augmented: Zhao et al. (2020),
https://arxiv.org/abs/2006.10738.  A tenth of the captions is held out, and some are drawn at the end.  With
--matcher it ends with the retrieval accuracy of the caption among ten.  Afterwards

    python -m jaxgen sample runs/text_to_emoji_gan --text "red heart" --num 16 --out hearts.png
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import jax
import optax
import tyro

from jaxgen import ImageSpec, add, chain, ema, lazily, minimize
from jaxgen.evaluation import evaluate_captions, hold_out_captions
from jaxgen.export import export_controls
from jaxgen.losses import logistic_discriminator, non_saturating_generator
from jaxgen.models import (
    GAN,
    change_colour,
    cut_out,
    differentiable_augment,
    discriminator_loss,
    ema_warmup,
    generator_loss,
    mismatched_loss,
    r1_loss,
    r2_loss,
    share_images,
    text,
    translate,
    use_ema,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator, TextEncoder, WithText
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, UserPath, command, load_split, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw colour emoji of 32x32 from captions with a GAN."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"matcher"}

    data: str = "emoji"
    """A folder of square images with captions in its metadata.jsonl."""
    max_minutes: Positive = 40.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    words: Count = 12
    """The largest number of words of a caption."""
    vocabulary: Annotated[int, Bounds(least=3)] = 4_096
    """The largest size of the vocabulary, including two special tokens."""
    width: Count = 32
    """Channels of the layer next to the image; each smaller layer has twice as many."""
    hidden: Count = 256
    """Features of the dense layer between the latent and the maps, and between the maps and the logit."""
    latent_size: Count = 64
    """Latent dimension."""
    learning_rate: Positive = 1e-3
    """Adam's for both networks; it decays as lr / (1 + step / 16,000)."""
    gamma: Annotated[float, Bounds(least=0)] = 1.0
    """Weight of the gradient penalties R1 and R2."""
    matcher: UserPath | None = None
    """The folder of a text-image matching network for the evaluation at the end."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    he_normal = jax.nn.initializers.he_normal()
    generator = DCGANGenerator(spec, config.width, config.hidden, kernel_init=he_normal, dtype=config.dtype)
    discriminator = DCGANDiscriminator(
        config.width, config.hidden, normalize=False, kernel_init=he_normal, dtype=config.dtype
    )
    gan = GAN(
        generator=WithText(generator, TextEncoder(config.vocabulary, dtype=config.dtype)),
        discriminator=WithText(discriminator, TextEncoder(config.vocabulary, dtype=config.dtype)),
        latent_size=config.latent_size,
        conditions=text(config.words),
        augment=differentiable_augment(change_colour, translate, cut_out),
    )
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 16_000), b1=0.0, b2=0.99)
    update = chain(
        discriminator=minimize(
            add(
                adversarial=discriminator_loss(gan, logistic_discriminator),
                mismatched=mismatched_loss(gan, logistic_discriminator),
                r1=lazily(4, r1_loss(gan, gamma=config.gamma, one_in=4)),
                r2=lazily(4, r2_loss(gan, gamma=config.gamma, one_in=4)),
            ),
            adam,
            wrt="discriminator",
        ),
        generator=minimize(generator_loss(gan, non_saturating_generator), adam, wrt="generator"),
        average=ema("generator", into="generator_ema", decay=ema_warmup(0.9995)),
    )
    return Recipe(
        networks=partial(gan.init, spec=spec),
        update=share_images(gan, update),
        sampler=use_ema(gan.sampler()),
        discriminators=("discriminator/adversarial",),
        exports={"controls": export_controls(use_ema(gan.controls))},
    )


def main() -> None:
    """Trains and evaluates as the command line says."""
    config = tyro.cli(Config)
    split = partial(hold_out_captions, words=config.words, vocabulary=config.vocabulary, matcher=config.matcher)

    def evaluate(directory: RunDirectory) -> None:
        parts = split(load_split(config, "train"))
        evaluate_captions(directory.path, parts, matcher=config.matcher, seed=config.seed)

    run(config, build, name="text_to_emoji_gan", prepare=lambda dataset: split(dataset)[0], afterwards=evaluate)


if __name__ == "__main__":
    command(main)
