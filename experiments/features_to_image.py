"""Images from features of images.  python experiments/features_to_image.py --help

A variational autoencoder whose networks are told features of an image: its colours, its contours, or what a classifier
sees in it.  What they do not say is left to the latents, so that other images with the same features can be drawn: the
picture likenesses.png has images in the first column and to the right what was drawn for their features.  Afterwards

    python -m jaxgen describe <folder> --kind edges --out features.npz
    python -m jaxgen sample runs/features_to_image --features features.npz --num 64 --out more.png
"""

import json
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import Array, Batch, ImageSpec, Networks, chain, ema, minimize, to_uint8
from jaxgen.data import Dataset, load, subset
from jaxgen.evaluation import Kind, describe, described, likeness
from jaxgen.export import load_sampler
from jaxgen.io.files import write_whole
from jaxgen.losses import gaussian
from jaxgen.models import VAE, elbo_loss, ema_warmup, features, use_ema
from jaxgen.nets import ResidualDecoder, ResidualEncoder
from jaxgen.training import Count, Positive, Recipe, RunConfig, RunDirectory, command, run

JUDGED, ROWS, COLUMNS = 1_000, 8, 7
"""Images that are judged at most, and the picture's size."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw images for what is known of images, with a conditional VAE."""

    kind: Kind = "edges"
    """palette: six colours and their shares; edges: the strength of contours; embedding: what a packaged
    classifier sees, of digits or of photographs of 32x32."""
    batch_size: Count = 64
    """Images a step."""
    latent_size: Count = 16
    """Latents of an image: what its features do not say."""
    width: Count = 32
    """Channels of the maps of half the image's sides; those of a quarter have twice as many."""
    learning_rate: Positive = 1e-3
    """Adam's at the start; it is half as much after 8,000 steps, a third after 16,000."""
    variance: Positive = 0.1
    """Of the likelihood of a pixel: the larger, the more is left to the features."""


def part(config: Config, dataset: Dataset, *, is_held_out: bool) -> Dataset:
    """The tenth of the data that is held out, or the rest, with its features."""
    out = np.random.default_rng(0).permutation(dataset.size) < dataset.size // 10
    chosen, split = (out, "held out") if is_held_out else (~out, "train")
    return described(subset(dataset, chosen, split=split), config.kind)


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to draw from them."""
    size = describe(np.zeros((1, *spec), np.uint8), config.kind).shape[1]
    vae = VAE(
        encoder=ResidualEncoder(config.latent_size, config.width, 1),
        decoder=ResidualDecoder(spec, config.width, 1),
        likelihood=gaussian(config.variance),
        latent_size=config.latent_size,
        condition=features(size),
    )
    adam = optax.chain(
        optax.clip_by_global_norm(500.0),  # nats of thousands of values: the first steps would throw it far
        optax.adam(lambda step: config.learning_rate / (1 + step / 8_000)),
    )
    example = {"image": jnp.zeros((1, *spec), jnp.uint8), "features": jnp.zeros((1, size))}

    def likenesses(networks: Networks, batch: Batch) -> Array:
        rows = min(ROWS, len(batch["image"]))
        keys = jax.random.split(jax.random.key(0), rows * COLUMNS)
        field = jnp.repeat(batch["features"][:rows], COLUMNS, axis=0)
        drawn = to_uint8(vae.sampler()(use_ema(networks), keys, field)).reshape(rows, COLUMNS, *spec)
        return jnp.concatenate([batch["image"][:rows, None], drawn], axis=1)

    return Recipe(
        networks=lambda key: vae.init(key, example),
        update=chain(
            vae=minimize(elbo_loss(vae), adam, wrt=("encoder", "decoder")),
            encoder_average=ema("encoder", into="encoder_ema", decay=ema_warmup(0.999)),
            decoder_average=ema("decoder", into="decoder_ema", decay=ema_warmup(0.999)),
        ),
        sampler=lambda networks, *given: vae.sampler()(use_ema(networks), *given),
        condition=vae.condition,
        pictures=lambda networks, batch: {"likenesses": likenesses(networks, batch)},
        controls=lambda networks: vae.controls(use_ema(networks)),
    )


def judge(config: Config, directory: RunDirectory) -> None:
    """Prints and writes how near the features of drawn images are to those asked for."""
    dataset = load(config.data, data_dir=config.data_dir, offline=True, announce=lambda _: None)
    held_out = part(config, dataset, is_held_out=True)
    asked = held_out.arrays["features"][:JUDGED]
    drawn = load_sampler(directory.sampler).draw(config.seed, len(asked), field=asked)
    ratio = likeness(asked, describe(np.asarray(drawn), config.kind))
    print(f"{config.kind} of images drawn for those of {len(asked):,} that were held out of {held_out.source}:")
    print(f"{ratio:.3f} of the distance to another image's (0: what was asked for; 1: any image)")
    told = {"kind": config.kind, "distance": ratio, "images": len(asked), "split": held_out.split}
    write_whole(directory.path / "likeness.json", json.dumps(told, indent=2) + "\n")


def main() -> None:
    """Trains and judges as the command line says."""
    config = tyro.cli(Config)
    run(
        config,
        build,
        name="features_to_image",
        prepare=lambda dataset: part(config, dataset, is_held_out=False),
        afterwards=lambda directory: judge(config, directory),
    )


if __name__ == "__main__":
    command(main)
