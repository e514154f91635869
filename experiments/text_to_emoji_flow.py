"""Emoji from captions, by flow matching.  python experiments/text_to_emoji_flow.py --data <folder with metadata.jsonl>

A transformer with a text encoder of its own learns to remove noise from emoji of 64x64; classifier-free guidance
strengthens the caption: Ho and Salimans (2022), https://arxiv.org/abs/2207.12598.  A tenth of the captions is held out,
and some are drawn at the end.  With --matcher it ends with the retrieval accuracy of the caption among ten.  Afterwards

    python -m jaxgen sample runs/text_to_emoji_flow --text "red heart" --num 16 --out hearts.png
    python -m jaxgen sample runs/text_to_emoji_flow --text "red heart" --guidance 4 --steps 8 --out more_hearts.png
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize
from jaxgen.evaluation import evaluate_captions, hold_out_captions
from jaxgen.export import export_controls, export_denoiser
from jaxgen.models import Diffusion, denoising_loss, drop_condition, ema_warmup, text, use_ema
from jaxgen.models.diffusion import (
    added_noise,
    classifier_free,
    clean,
    flow_matching_weight,
    linear,
    logit_normal_times,
    uniform_grid,
)
from jaxgen.nets import DiT, TextEncoder, WithText
from jaxgen.training import (
    Bounds,
    Count,
    Positive,
    Recipe,
    RunConfig,
    RunDirectory,
    UserPath,
    UserSize,
    command,
    load_split,
    run,
)


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw colour emoji of 64x64 from captions by flow matching."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"matcher", "guidance", "sample_steps"}

    data: str = "emoji"
    """A folder of images with captions in its metadata.jsonl."""
    size: UserSize | None = (64, 64)
    """Bring all images to this size; the matching network sees them at 32x32."""
    max_minutes: Positive = 120.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    words: Count = 12
    """The largest number of words of a caption."""
    vocabulary: Annotated[int, Bounds(least=3)] = 4_096
    """The largest size of the vocabulary, including two special tokens."""
    guidance: Annotated[float, Bounds(least=0)] = 2.0
    """Scale of classifier-free guidance in samples: 1 for none, above 1 to strengthen the caption."""
    sample_steps: Annotated[int, Bounds(least=2)] = 16
    """Steps of Heun's method for an image, two evaluations of the network each, four with guidance."""
    patch: Count = 8
    """Side of the patches that are the transformer's tokens."""
    width: Count = 256
    """Features of a token."""
    blocks: Count = 6
    """Transformer blocks."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 20,000)."""
    matcher: UserPath | None = None
    """The folder of a text-image matching network for the evaluation at the end."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to sample from it."""
    conditions = text(config.words)
    transformer = DiT(config.patch, config.width, config.blocks, dtype=config.dtype)
    model = Diffusion(
        network=WithText(transformer, TextEncoder(config.vocabulary, dtype=config.dtype)),
        spec=spec,
        schedule=linear(logit_normal_times()),
        prediction=clean,
        conditions=conditions,
        grid=uniform_grid(config.sample_steps),
        guidance=classifier_free(config.guidance),
    )
    loss = drop_condition(denoising_loss(model, flow_matching_weight()), conditions)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000))
    return Recipe(
        networks=partial(model.init, spec=spec),
        update=chain(
            denoiser=minimize(loss, adam, wrt="denoiser"),
            average=ema("denoiser", into="denoiser_ema", decay=ema_warmup(0.9995)),
        ),
        sampler=use_ema(model.sampler()),
        exports={
            "controls": export_controls(use_ema(model.controls)),
            "denoiser": export_denoiser(use_ema(added_noise(model))),
        },
    )


def main() -> None:
    """Trains and evaluates as the command line says."""
    config = tyro.cli(Config)
    split = partial(
        hold_out_captions,
        words=config.words,
        vocabulary=config.vocabulary,
        matcher=config.matcher,
        side=None,
    )

    def evaluate(directory: RunDirectory) -> None:
        parts = split(load_split(config, "train"))
        evaluate_captions(directory.path, parts, matcher=config.matcher, seed=config.seed)

    run(config, build, name="text_to_emoji_flow", prepare=lambda dataset: split(dataset)[0], afterwards=evaluate)


if __name__ == "__main__":
    command(main)
