"""Emoji from words.  python experiments/text_to_emoji.py --data <folder with metadata.jsonl>

A variational autoencoder whose encoder and decoder are told the caption: Sohn et al. (2015), "Learning structured
output representation using deep conditional generative models".  A tenth of the captions is held out, each a new
combination of known words, and some of them are drawn at the end.  With --matcher, a folder that
experiments/judges/emoji_matcher.py wrote, it is measured how often the caption asked for is found among ten.

Afterwards

    python -m jaxgen sample runs/text_to_emoji --text "red heart" --num 16 --out hearts.png
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import jax.numpy as jnp
import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize
from jaxgen.data import Dataset, load, read_features
from jaxgen.evaluation import evaluate_captions, hold_out_captions, with_embeddings
from jaxgen.losses import gaussian
from jaxgen.models import VAE, elbo_loss, ema_warmup, features, text, use_ema
from jaxgen.nets import ResidualDecoder, ResidualEncoder, TextEncoder, WithText
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw colour emoji of 32x32 that words ask for, with a conditional VAE."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"matcher"}

    data: str = "emoji"
    """A folder of square images with captions in its metadata.jsonl."""
    max_minutes: Positive = 40.0
    """Stop after this long with everything saved; the same command goes on from there."""
    batch_size: Count = 32
    """Images a step."""
    words: Count = 12
    """Words of a caption at most."""
    vocabulary: Annotated[int, Bounds(least=3)] = 4_096
    """Words that are known at most, and two more numbers."""
    width: Count = 32
    """Channels of the map of half the image's sides; that of a quarter has twice as many."""
    hidden: Count = 256
    """Features of the dense layer between maps and latents."""
    latent_size: Count = 16
    """Latents of an image: what its caption does not say."""
    learning_rate: Positive = 1e-3
    """Adam's at the start; it is half as much after 8,000 steps, a third after 16,000."""
    variance: Positive = 0.5
    """Of the likelihood of a pixel."""
    beta: Positive = 10.0
    """Weight of the divergence from the prior: the larger, the less latents say and the more the caption does."""
    text_embeddings: Path | None = None
    """An .npz of `features` of each caption by any encoder of sentences, as python -m jaxgen embed writes them, to
    be told instead of words."""
    matcher: Path | None = None
    """The folder of a matching network that judges at the end."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to draw from them."""
    encoder = ResidualEncoder(config.latent_size, config.width, 1, config.hidden)
    decoder = ResidualDecoder(spec, config.width, 1, config.hidden)
    condition = text(config.words)
    if config.text_embeddings:
        condition = features(read_features(config.text_embeddings).shape[1])
    else:
        encoder = WithText(encoder, TextEncoder(config.vocabulary))
        decoder = WithText(decoder, TextEncoder(config.vocabulary, 128))
    vae = VAE(encoder, decoder, gaussian(config.variance), config.latent_size, condition=condition)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 8_000))
    example = {
        "image": jnp.zeros((1, *spec), jnp.uint8),
        condition.field: jnp.zeros((1, *condition.shape), condition.dtype),
    }

    return Recipe(
        networks=lambda key: vae.init(key, example),
        update=chain(
            vae=minimize(elbo_loss(vae, beta=config.beta), adam, wrt=("encoder", "decoder")),
            encoder_average=ema("encoder", into="encoder_ema", decay=ema_warmup(0.999)),
            decoder_average=ema("decoder", into="decoder_ema", decay=ema_warmup(0.999)),
        ),
        sampler=lambda networks, *given: vae.sampler()(use_ema(networks), *given),
        condition=vae.condition,
        controls=lambda networks: vae.controls(use_ema(networks)),
    )


def main() -> None:
    """Trains and judges as the command line says."""
    config = tyro.cli(Config)
    split = partial(hold_out_captions, words=config.words, vocabulary=config.vocabulary, matcher=config.matcher)

    def prepare(dataset: Dataset) -> tuple[Dataset, Dataset]:
        return split(with_embeddings(dataset, config.text_embeddings))

    def judge(directory: RunDirectory) -> None:
        parts = prepare(load(config.data, offline=True))
        evaluate_captions(directory.path, parts, matcher=config.matcher, seed=config.seed)

    run(
        config,
        build,
        name="text_to_emoji",
        prepare=lambda dataset: prepare(dataset)[0],
        afterwards=judge,
    )


if __name__ == "__main__":
    command(main)
