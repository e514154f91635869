"""Content from words, style from a picture.  python experiments/text_and_features_to_image.py --data <folder>

The folder has a metadata.jsonl.  The flow of text_to_emoji_flow.py, conditioned on features of a picture too, by
default its palette.  Training drops each condition by itself, so that guidance has a scale for each: Brooks et al.
(2023), https://arxiv.org/abs/2211.09800.  A caption alone could determine the palette of its image: the flow trains on
copies of each image in random colours too, if it learns palettes, and then no word says which colours to draw.  A tenth
of the captions is held out, and drawn at the end with the features of other pictures.  Afterwards

    python -m jaxgen sample runs/text_and_features_to_image --text "a heart" --features a.png --out hearts.png
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize, models, nets
from jaxgen.data import Dataset, recoloured, with_field
from jaxgen.evaluation import Kind, describe_shrunk, evaluate_text_and_features, hold_out_captions
from jaxgen.export import export_controls
from jaxgen.models import diffusion
from jaxgen.training import (
    Bounds,
    Count,
    GuidanceScale,
    Positive,
    Recipe,
    RunConfig,
    UserPath,
    UserSize,
    command,
    load_split,
    run,
)

COPIES, DROPPED = 7, 0.2
"""Copies of an image in other colours, and the share of captions, and of features, that training drops."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw what a caption says with the features of another picture."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"matcher", "text_guidance", "features_guidance", "sample_steps"}

    data: str = "emoji"
    """A folder of images with captions in its metadata.jsonl; sides are multiples of 32."""
    size: UserSize | None = (64, 64)
    """Bring all images to this size; features are of images shrunk to 32x32."""
    kind: Kind = "palette"
    """palette: six colours and their shares; edges: gradients in blocks of 2x2 pixels; embedding: of a classifier."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    autoencoder_steps: Count = 4_000
    """Steps of the autoencoder; the flow trains in those after them."""
    words: Count = 12
    """The largest number of words of a caption."""
    vocabulary: Annotated[int, Bounds(least=3)] = 4_096
    """The largest size of the vocabulary, including two special tokens."""
    text_guidance: GuidanceScale = 2.0
    """Scale of guidance from no condition to the caption."""
    features_guidance: GuidanceScale = 2.0
    """Scale of guidance from the caption to the caption with features; 0 ignores the features."""
    sample_steps: Annotated[int, Bounds(least=2)] = 16
    """Steps of Heun's method for an image, six evaluations of the network each but the last."""
    autoencoder_width: Count = 64
    """Channels of the autoencoder's hidden layers."""
    width: Count = 256
    """Features of a token."""
    blocks: Count = 6
    """Transformer blocks."""
    learning_rate: Positive = 1e-3
    """Adam's; the autoencoder's ends at 0 as a cosine, the transformer's decays as lr / (1 + step / 20,000)."""
    matcher: UserPath | None = None
    """The folder of a text-image matching network for the evaluation at the end."""


def part(config: Config, dataset: Dataset, *, is_held_out: bool) -> Dataset:
    """The part of the data whose captions are held out, or the rest, with its features."""
    training, held_out = hold_out_captions(
        dataset, words=config.words, vocabulary=config.vocabulary, matcher=config.matcher, side=None
    )
    chosen = held_out if is_held_out else recoloured(training, COPIES) if config.kind == "palette" else training
    return with_field(chosen, features=describe_shrunk(chosen.arrays["image"], config.kind))


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    vae, autoencoder = diffusion.map_vae(spec, width=config.autoencoder_width, dtype=config.dtype)
    transformer = nets.DiT(4, config.width, config.blocks, dtype=config.dtype)
    features = describe_shrunk(np.zeros((1, *spec), np.uint8), config.kind).shape[1]
    flow = models.Diffusion(
        network=nets.WithText(transformer, nets.TextEncoder(config.vocabulary, dtype=config.dtype)),
        spec=autoencoder.maps,
        schedule=diffusion.linear(diffusion.logit_normal_times()),
        conditions=models.text(config.words) | models.features(features, config.kind),
        grid=diffusion.uniform_grid(config.sample_steps),
        guidance=diffusion.classifier_free_each(config.text_guidance, config.features_guidance),
    )
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000))
    loss = diffusion.on_latents(models.denoising_loss(flow), autoencoder)
    loss = models.drop_condition(loss, flow.conditions, DROPPED, independently=True)
    after = chain(
        denoiser=minimize(loss, adam, wrt="denoiser"),
        average=ema("denoiser", into="denoiser_ema", decay=models.power_decay(0.1)),
    )
    return Recipe(
        networks=lambda key: vae.init(key, spec) | flow.init(jax.random.fold_in(key, 1), flow.spec),
        update=diffusion.autoencoder_first(
            config.autoencoder_steps, vae, autoencoder, after, learning_rate=config.learning_rate
        ),
        sampler=models.use_ema(diffusion.decoded(flow.sampler(), autoencoder)),
        exports={"controls": export_controls(models.use_ema(diffusion.decoded_controls(flow.controls, autoencoder)))},
    )


def main() -> None:
    """Trains and evaluates as the command line says."""
    config = tyro.cli(Config)
    run(
        config,
        build,
        name="text_and_features_to_image",
        prepare=lambda dataset: part(config, dataset, is_held_out=False),
        afterwards=lambda directory: evaluate_text_and_features(
            directory.path,
            part(config, load_split(config, "train"), is_held_out=True),
            config.kind,
            matcher=config.matcher,
            seed=config.seed,
        ),
    )


if __name__ == "__main__":
    command(main)
