"""Emoji from words.  python experiments/text_to_emoji.py --data <folder with metadata.jsonl>

A variational autoencoder whose encoder and decoder are told the caption: Sohn et al. (2015), "Learning structured
output representation using deep conditional generative models".  A tenth of the captions is held out, each a new
combination of known words.  With --matcher, a folder that experiments/judges/emoji_matcher.py wrote, it is measured at
the end how often the caption asked for is found among ten.  Afterwards

    python -m jaxgen sample runs/text_to_emoji --text "red heart" --num 16 --out hearts.png
"""

import json
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize
from jaxgen.condition import text
from jaxgen.data import Dataset, hold_out, load, shrink, subset, with_text
from jaxgen.evaluation import Matcher, load_matcher, retrieval_accuracy
from jaxgen.experiment import Count, Positive, Recipe, RunConfig, command, run
from jaxgen.export import load_sampler
from jaxgen.files import write_whole
from jaxgen.losses import gaussian
from jaxgen.models import VAE, averaged, elbo_loss, warming_up
from jaxgen.nets import ResidualDecoder, ResidualEncoder, TextEncoder, WithText
from jaxgen.report import RunDirectory
from jaxgen.tokenizer import train_tokenizer

SIDE, HELD_OUT, JUDGED = 32, 0.1, 500
"""Pixels of a side, the share of captions that is held out, and how many of either kind are judged at most."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw colour emoji of 32x32 that words ask for, with a conditional VAE."""

    data: str = "emoji"
    """A folder of square images with captions in its metadata.jsonl."""
    max_minutes: Positive = 40.0
    """Stop after this long with everything saved; the same command goes on from there."""
    batch_size: Count = 32
    """Images a step."""
    words: Count = 12
    """Words of a caption at most."""
    vocabulary: Count = 4_096
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
    matcher: Path | None = None
    """The folder of a matching network that judges at the end."""


def captioned(config: Config, dataset: Dataset) -> tuple[Dataset, Dataset]:
    """The data with the tokens of their captions: what is trained on, and what is held out."""
    tokenizer = train_tokenizer(dataset.captions, length=config.words, size=config.vocabulary)
    dataset = with_text(shrink(dataset, SIDE), tokenizer)
    out = hold_out(dataset.arrays["text"], share=HELD_OUT)
    return subset(dataset, ~out, split="train"), subset(dataset, out, split="held out")


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to draw from them."""
    vae = VAE(
        encoder=WithText(
            ResidualEncoder(config.latent_size, config.width, 1, config.hidden), TextEncoder(config.vocabulary)
        ),
        decoder=WithText(ResidualDecoder(spec, config.width, 1, config.hidden), TextEncoder(config.vocabulary, 128)),
        likelihood=gaussian(config.variance),
        latent_size=config.latent_size,
        condition=text(config.words),
    )
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 8_000))
    example = {"image": jnp.zeros((1, *spec), jnp.uint8), "text": jnp.zeros((1, config.words), jnp.int32)}

    return Recipe(
        networks=lambda key: vae.init(key, example),
        update=chain(
            vae=minimize(elbo_loss(vae, beta=config.beta), adam, wrt=("encoder", "decoder")),
            encoder_average=ema("encoder", into="encoder_ema", decay=warming_up(0.999)),
            decoder_average=ema("decoder", into="decoder_ema", decay=warming_up(0.999)),
        ),
        sampler=lambda networks, *given: vae.sampler()(averaged(networks), *given),
        condition=vae.condition,
        controls=lambda networks: vae.controls(averaged(networks)),
    )


def judge(config: Config, matcher: Matcher, directory: RunDirectory, dataset: Dataset) -> None:
    """Prints and writes how often the caption asked for is found, by pictures that were drawn and by real ones."""
    sampler, told = load_sampler(directory.sampler), {}
    for part in captioned(config, dataset):
        captions, first = np.unique(part.captions, return_index=True)
        chosen = np.random.default_rng(config.seed).permutation(len(captions))[:JUDGED]
        asked = captions[chosen].tolist()
        drawn = sampler.draw(config.seed, len(asked), text=asked)
        for kind, images in (("drawn", drawn), ("real", part.arrays["image"][first[chosen]])):
            accuracy = retrieval_accuracy(*matcher.look(images, asked), seed=config.seed)
            told[f"{part.split}, {kind}"] = {**accuracy._asdict(), "captions": len(asked)}
            value = f"{accuracy.value:.1%} ± {accuracy.standard_error:.1%}"
            print(f"Found among ten, captions {part.split}, {kind}: {value}")
    write_whole(directory.path / "alignment.json", json.dumps(told, indent=2) + "\n")


def main() -> None:
    """Trains and judges as the command line says."""
    config = tyro.cli(Config)
    matcher = load_matcher(config.matcher) if config.matcher else None
    directory = run(config, build, name="text_to_emoji", prepare=lambda dataset: captioned(config, dataset)[0])
    if matcher is not None:
        judge(config, matcher, directory, load(config.data, offline=True))


if __name__ == "__main__":
    command(main)
