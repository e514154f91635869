"""Emoji from captions, by flow matching in latents.  python experiments/text_to_emoji_flow.py --data <folder>

The folder has a metadata.jsonl.  First a VAE learns to encode emoji of 64x64 as maps of 16x16.  Then a transformer
with a text encoder of its own learns the flow from noise to such maps: Rombach et al. (2022),
https://arxiv.org/abs/2112.10752.  Classifier-free guidance strengthens the caption: Ho and Salimans (2022),
https://arxiv.org/abs/2207.12598.  A tenth of the captions is held out, and some are drawn at the end.  With --matcher
it ends with the retrieval accuracy of the caption among ten.  Afterwards

    python -m jaxgen sample runs/text_to_emoji_flow --text "red heart" --num 16 --out hearts.png
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import jax
import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize, models, nets
from jaxgen.evaluation import evaluate_captions, hold_out_captions
from jaxgen.export import export_controls
from jaxgen.models import diffusion
from jaxgen.training import (
    Bounds,
    Count,
    GuidanceScale,
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
    """Draw colour emoji of 64x64 from captions by flow matching in latents."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"matcher", "guidance", "sample_steps"}

    data: str = "emoji"
    """A folder of images with captions in its metadata.jsonl; sides are multiples of 16."""
    size: UserSize | None = (64, 64)
    """Bring all images to this size; the matching network sees them at 32x32."""
    max_minutes: Positive = 120.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    autoencoder_steps: Count = 4_000
    """Steps of the autoencoder; the flow trains in those after them."""
    words: Count = 12
    """The largest number of words of a caption."""
    vocabulary: Annotated[int, Bounds(least=3)] = 4_096
    """The largest size of the vocabulary, including two special tokens."""
    guidance: GuidanceScale = 2.0
    """Scale of classifier-free guidance in samples: 1 for none, above 1 to strengthen the caption."""
    sample_steps: Annotated[int, Bounds(least=2)] = 16
    """Steps of Heun's method for an image, two evaluations of the network each but the last, twice
    as many with guidance."""
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


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    vae, autoencoder = diffusion.map_vae(spec, width=config.autoencoder_width, dtype=config.dtype)
    transformer = nets.DiT(4, config.width, config.blocks, dtype=config.dtype)
    flow = models.Diffusion(
        network=nets.WithText(transformer, nets.TextEncoder(config.vocabulary, dtype=config.dtype)),
        spec=autoencoder.maps,
        schedule=diffusion.linear(diffusion.logit_normal_times()),
        conditions=models.text(config.words),
        grid=diffusion.uniform_grid(config.sample_steps),
        guidance=diffusion.classifier_free(config.guidance),
    )
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000))
    loss = models.drop_condition(diffusion.on_latents(models.denoising_loss(flow), autoencoder), flow.conditions)
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
        pictures=lambda networks, batch: {"reconstructions": models.reconstructions(vae, networks, batch)},
        exports={"controls": export_controls(models.use_ema(diffusion.decoded_controls(flow.controls, autoencoder)))},
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
