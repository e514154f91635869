"""Images from features of images.  python experiments/features_to_image.py --help

A variational autoencoder conditioned on features of an image: its palette, its edges, or the embedding of a classifier.
The latents model the rest, so that other images with the same features can be drawn: each row of likenesses.png has an
image in the first column, followed by samples for its features.  Afterwards

    python -m jaxgen describe <folder> --kind edges --out features.npz
    python -m jaxgen sample runs/features_to_image --features features.npz --num 64 --out more.png
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import Array, Batch, ImageSpec, Networks, chain, ema, minimize, to_uint8
from jaxgen.data import Dataset, subset
from jaxgen.evaluation import Kind, describe, relative_distance, with_features, write_results
from jaxgen.export import export_controls, load_sampler
from jaxgen.losses import gaussian
from jaxgen.models import VAE, elbo_loss, ema_warmup, features, use_ema
from jaxgen.nets import ResidualDecoder, ResidualEncoder
from jaxgen.training import Count, Positive, Recipe, RunConfig, RunDirectory, command, load_split, run

EVALUATED, ROWS, COLUMNS = 1_000, 8, 7
"""The largest number of images that are evaluated, and the picture's size."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw images for features of images with a conditional VAE."""

    kind: Kind = "edges"
    """palette: six colours and their shares; edges: gradients in blocks of 2x2 pixels; embedding: features of a
    packaged classifier, which resizes other sizes than 28x28x1 to 32x32."""
    batch_size: Count = 64
    """Images per step, over all devices."""
    latent_size: Count = 16
    """Latent dimension."""
    width: Count = 32
    """Channels of the maps of half the image's sides; those of a quarter have twice as many."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 8,000)."""
    variance: Positive = 0.1
    """Variance of a pixel's likelihood; the larger, the more the features determine."""


def part(config: Config, dataset: Dataset, *, is_held_out: bool) -> Dataset:
    """The tenth of the data that is held out, or the rest, with its features."""
    out = np.random.default_rng(0).permutation(dataset.size) < dataset.size // 10
    chosen, split = (out, "held out") if is_held_out else (~out, "train")
    return with_features(subset(dataset, chosen, split=split), config.kind)


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    size = describe(np.zeros((1, *spec), np.uint8), config.kind).shape[1]
    vae = VAE(
        encoder=ResidualEncoder(config.latent_size, config.width, 1, dtype=config.dtype),
        decoder=ResidualDecoder(spec, config.width, 1, dtype=config.dtype),
        likelihood=gaussian(config.variance),
        latent_size=config.latent_size,
        conditions=features(size, config.kind),
    )
    adam = optax.chain(
        optax.clip_by_global_norm(500.0),  # the first gradients, of thousands of nats, would diverge
        optax.adam(lambda step: config.learning_rate / (1 + step / 8_000)),
    )

    def likenesses(networks: Networks, batch: Batch) -> Array:
        rows = min(ROWS, len(batch["image"]))
        keys = jax.random.split(jax.random.key(0), rows * COLUMNS)
        condition = jnp.repeat(batch["features"][:rows], COLUMNS, axis=0)
        drawn = to_uint8(vae.sampler()(networks, keys, features=condition)).reshape(rows, COLUMNS, *spec)
        return jnp.concatenate([batch["image"][:rows, None], drawn], axis=1)

    return Recipe(
        networks=partial(vae.init, spec=spec),
        update=chain(
            vae=minimize(elbo_loss(vae), adam, wrt=("encoder", "decoder")),
            encoder_average=ema("encoder", into="encoder_ema", decay=ema_warmup(0.999)),
            decoder_average=ema("decoder", into="decoder_ema", decay=ema_warmup(0.999)),
        ),
        sampler=use_ema(vae.sampler()),
        pictures=use_ema(lambda networks, batch: {"likenesses": likenesses(networks, batch)}),
        exports={"controls": export_controls(use_ema(vae.controls))},
    )


def evaluate(config: Config, directory: RunDirectory) -> None:
    """Reports how near the features of samples are to their conditions, for held-out images."""
    dataset = load_split(config, "train", lambda _: None)
    held_out = part(config, dataset, is_held_out=True)
    condition = held_out.arrays["features"][:EVALUATED]
    drawn = load_sampler(directory.sampler).draw(config.seed, len(condition), fields={"features": condition})
    ratio = relative_distance(condition, describe(np.asarray(drawn), config.kind), kind=config.kind)
    write_results(
        directory.path / "likeness.json",
        {config.kind: {"relative distance": ratio}},
        title=f"{config.kind} of samples for {len(condition):,} images that were held out of {held_out.source}",
        meanings={"relative distance": "0: the features of the condition; 1: those of another image"},
        details={"images": len(condition), "split": held_out.split},
    )


def main() -> None:
    """Trains and evaluates as the command line says."""
    config = tyro.cli(Config)
    run(
        config,
        build,
        name="features_to_image",
        prepare=lambda dataset: part(config, dataset, is_held_out=False),
        afterwards=lambda directory: evaluate(config, directory),
    )


if __name__ == "__main__":
    command(main)
