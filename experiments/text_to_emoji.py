"""Emoji from words.  python experiments/text_to_emoji.py --data <folder with metadata.jsonl>

A variational autoencoder conditioned on the caption: Sohn et al. (2015), "Learning structured output representation
using deep conditional generative models".  A tenth of the captions is held out, each a new combination of known words,
and some of them are drawn at the end.  With --matcher, a folder that experiments/classifiers/emoji_matcher.py wrote, it
ends with the retrieval accuracy of the caption among ten.

Afterwards

    python -m jaxgen sample runs/text_to_emoji --text "red heart" --num 16 --out hearts.png
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize
from jaxgen.data import Dataset, read_features
from jaxgen.evaluation import evaluate_captions, hold_out_captions, with_embeddings
from jaxgen.export import export_controls
from jaxgen.losses import gaussian
from jaxgen.models import VAE, elbo_loss, ema_warmup, features, text, use_ema
from jaxgen.nets import ResidualDecoder, ResidualEncoder, TextEncoder, WithText
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, UserPath, command, load_split, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw colour emoji of 32x32 from captions with a conditional VAE."""

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
    """Channels of the map of half the image's sides; that of a quarter has twice as many."""
    hidden: Count = 256
    """Features of the dense layer between maps and latents."""
    latent_size: Count = 16
    """Latent dimension."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 8,000)."""
    variance: Positive = 0.5
    """Variance of a pixel's likelihood."""
    beta: Positive = 10.0
    """Weight of the divergence from the prior; the larger, the more the caption determines."""
    text_embeddings: UserPath | None = None
    """Condition on sentence embeddings in place of words: an .npz with `features` [N, F], one row per image, as
    python -m jaxgen embed writes it."""
    matcher: UserPath | None = None
    """The folder of a text-image matching network for the evaluation at the end."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    encoder = ResidualEncoder(config.latent_size, config.width, 1, config.hidden, dtype=config.dtype)
    decoder = ResidualDecoder(spec, config.width, 1, config.hidden, dtype=config.dtype)
    conditions = text(config.words)
    if config.text_embeddings:
        conditions = features(read_features(config.text_embeddings).shape[1])
    else:
        encoder = WithText(encoder, TextEncoder(config.vocabulary, dtype=config.dtype))
        decoder = WithText(decoder, TextEncoder(config.vocabulary, 128, dtype=config.dtype))
    vae = VAE(encoder, decoder, gaussian(config.variance), config.latent_size, conditions=conditions)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 8_000))
    return Recipe(
        networks=partial(vae.init, spec=spec),
        update=chain(
            vae=minimize(elbo_loss(vae, beta=config.beta), adam, wrt=("encoder", "decoder")),
            encoder_average=ema("encoder", into="encoder_ema", decay=ema_warmup(0.999)),
            decoder_average=ema("decoder", into="decoder_ema", decay=ema_warmup(0.999)),
        ),
        sampler=use_ema(vae.sampler()),
        exports={"controls": export_controls(use_ema(vae.controls))},
    )


def main() -> None:
    """Trains and evaluates as the command line says."""
    config = tyro.cli(Config)
    split = partial(hold_out_captions, words=config.words, vocabulary=config.vocabulary, matcher=config.matcher)

    def prepare(dataset: Dataset) -> tuple[Dataset, Dataset]:
        return split(with_embeddings(dataset, config.text_embeddings))

    def evaluate(directory: RunDirectory) -> None:
        parts = prepare(load_split(config, "train"))
        evaluate_captions(directory.path, parts, matcher=config.matcher, seed=config.seed)

    run(
        config,
        build,
        name="text_to_emoji",
        prepare=lambda dataset: prepare(dataset)[0],
        afterwards=evaluate,
    )


if __name__ == "__main__":
    command(main)
