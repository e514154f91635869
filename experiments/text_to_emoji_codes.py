"""Emoji from words, a code at a time.  python experiments/text_to_emoji_codes.py --data <folder with metadata.jsonl>

A VQ-VAE encodes an image as a small map of codes; a gated PixelCNN conditioned on the caption is the prior of the
codes.  The caption is dropped for one example in ten, for classifier-free guidance: Ho and Salimans (2022),
https://arxiv.org/abs/2207.12598.  A tenth of the captions is held out, and some are drawn at the end.  With
--matcher it ends with the retrieval accuracy of the caption among ten.  Afterwards

    python -m jaxgen sample runs/text_to_emoji_codes --text "red heart" --num 16 --out hearts.png
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import jax
import optax
import tyro

from jaxgen import ImageSpec, Networks, chain, ema, minimize
from jaxgen.evaluation import evaluate_captions, hold_out_captions
from jaxgen.losses import gaussian
from jaxgen.models import (
    VQVAE,
    CodePrior,
    code_prior_loss,
    drop_condition,
    ema_warmup,
    guided,
    reconstructions,
    text,
    use_ema,
    vector_quantized_loss,
    vqvae_sampler,
)
from jaxgen.nets import GatedPixelCNN, MapDecoder, MapEncoder, TextEncoder, WithText
from jaxgen.training import (
    Bounds,
    Count,
    GuidanceScale,
    Positive,
    Recipe,
    RunConfig,
    RunDirectory,
    UserPath,
    command,
    load_split,
    run,
)

NETWORKS = ("encoder", "decoder", "codebook", "prior")


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw colour emoji of 32x32 from captions with a VQ-VAE and a prior of its codes."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"matcher", "guidance", "temperature"}

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
    codes: Annotated[int, Bounds(least=2)] = 256
    """Vectors of the codebook."""
    vector_size: Count = 32
    """Dimension of a codebook vector."""
    width: Count = 48
    """Channels of the encoder, the decoder and the prior."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 8,000)."""
    guidance: GuidanceScale = 2.0
    """Scale of classifier-free guidance: 0 ignores the caption, 1 is the conditional model."""
    temperature: Positive = 0.8
    """Sampling temperature; below 1 samples concentrate on the modes."""
    matcher: UserPath | None = None
    """The folder of a text-image matching network for the evaluation at the end."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    model = VQVAE(
        encoder=MapEncoder(config.vector_size, config.width, dtype=config.dtype),
        decoder=MapDecoder(spec, config.width, dtype=config.dtype),
        likelihood=gaussian(0.05),
        codes=config.codes,
    )
    prior = CodePrior(
        WithText(
            GatedPixelCNN(config.codes, config.width, dtype=config.dtype),
            TextEncoder(config.vocabulary, 128, dtype=config.dtype),
        ),
        config.codes,
        (spec.height // 4, spec.width // 4),
        text(config.words),
    )
    guided_prior = prior._replace(draw=guided(config.guidance))

    def networks(key: jax.Array) -> Networks:
        images, codes = jax.random.split(key)
        return {**model.init(images, spec), **prior.init(codes)}

    adam = optax.chain(
        optax.clip_by_global_norm(500.0),  # the first gradients, of thousands of nats, would diverge
        optax.adam(lambda step: config.learning_rate / (1 + step / 8_000)),
    )
    codes = drop_condition(code_prior_loss(model, prior), text(config.words))
    return Recipe(
        networks=networks,
        update=chain(
            vqvae=minimize(vector_quantized_loss(model), adam, wrt=("encoder", "decoder")),
            prior=minimize(codes, adam, wrt="prior"),
            **{f"average_{name}": ema(name, into=f"{name}_ema", decay=ema_warmup(0.999)) for name in NETWORKS},
        ),
        sampler=use_ema(vqvae_sampler(model, guided_prior, config.temperature)),
        pictures=use_ema(lambda networks, batch: {"reconstructions": reconstructions(model, networks, batch)}),
    )


def main() -> None:
    """Trains and evaluates as the command line says."""
    config = tyro.cli(Config)
    split = partial(hold_out_captions, words=config.words, vocabulary=config.vocabulary, matcher=config.matcher)

    def evaluate(directory: RunDirectory) -> None:
        parts = split(load_split(config, "train"))
        evaluate_captions(directory.path, parts, matcher=config.matcher, seed=config.seed)

    run(
        config,
        build,
        name="text_to_emoji_codes",
        prepare=lambda dataset: split(dataset)[0],
        afterwards=evaluate,
    )


if __name__ == "__main__":
    command(main)
