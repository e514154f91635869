"""A VQ-VAE of colour images with a prior of its codes.  python experiments/vqvae_cifar10.py --help

An encoder makes a small map of codes of an image and a decoder makes the image of that again; at the same time a gated
PixelCNN learns which codes follow which, and draws maps for the decoder.  It leaves pictures of both, and tells how
near test images come to themselves, and how many bits their codes take.
"""

import json
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, Networks, chain, ema, minimize, to_uint8
from jaxgen.data import load
from jaxgen.evaluation import Estimate, compare_pairs, mean_of
from jaxgen.io.files import write_whole
from jaxgen.losses import gaussian
from jaxgen.models import (
    VQVAE,
    CodePrior,
    code_prior_loss,
    ema_warmup,
    reconstructions,
    use_ema,
    vector_quantized_loss,
    vqvae_sampler,
)
from jaxgen.nets import GatedPixelCNN, MapDecoder, MapEncoder
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, best_networks, command, run

NETWORKS = ("encoder", "decoder", "codebook", "prior")


@dataclass(frozen=True)
class Config(RunConfig):
    """Encode CIFAR-10 in maps of codes, and draw such maps."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"temperature"}

    data: Literal["cifar10"] = "cifar10"
    """Prepared by TFDS as array_record; looked for in --data-dir."""
    max_minutes: Positive = 60.0
    """Stop after this long with everything saved; the same command goes on from there."""
    batch_size: Count = 64
    """Images a step."""
    codes: Annotated[int, Bounds(least=2)] = 256
    """Vectors of the codebook."""
    vector_size: Count = 32
    """Numbers of a vector."""
    width: Count = 64
    """Channels of the encoder, the decoder and the prior."""
    commitment: Positive = 0.25
    """Weight of the encoder's distance from the codebook."""
    learning_rate: Positive = 1e-3
    """Adam's at the start, of both; it is half as much after 20,000 steps, a third after 40,000."""
    temperature: Positive = 1.0
    """Of samples: below 1, what is likely is more so."""


def make_models(config: Config, spec: ImageSpec) -> tuple[VQVAE, CodePrior]:
    """The networks and what they mean."""
    model = VQVAE(
        encoder=MapEncoder(config.vector_size, config.width),
        decoder=MapDecoder(spec, config.width),
        likelihood=gaussian(0.05),
        codes=config.codes,
    )
    network = GatedPixelCNN(config.codes, config.width)
    return model, CodePrior(network, config.codes, (spec.height // 4, spec.width // 4))


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to draw from them."""
    model, prior = make_models(config, spec)

    def networks(key: jax.Array):
        images, codes = jax.random.split(key)
        return {**model.init(images, {"image": jnp.zeros((1, *spec), jnp.uint8)}), **prior.init(codes)}

    adam = optax.chain(
        optax.clip_by_global_norm(500.0),  # nats of thousands of values: the first steps would throw it far
        optax.adam(lambda step: config.learning_rate / (1 + step / 20_000)),
    )
    loss = vector_quantized_loss(model, commitment=config.commitment)
    return Recipe(
        networks=networks,
        update=chain(
            vqvae=minimize(loss, adam, wrt=("encoder", "decoder")),
            prior=minimize(code_prior_loss(model, prior), adam, wrt="prior"),
            **{f"average_{name}": ema(name, into=f"{name}_ema", decay=ema_warmup(0.999)) for name in NETWORKS},
        ),
        sampler=lambda networks, keys: vqvae_sampler(model, prior, config.temperature)(use_ema(networks), keys),
        pictures=lambda networks, batch: {"reconstructions": reconstructions(model, use_ema(networks), batch)},
    )


def measure(models: tuple[VQVAE, CodePrior], networks: Networks, images: np.ndarray) -> dict[str, Estimate]:
    """How near images come to themselves through their codes, and the bits that the prior takes for these."""
    model, prior = models

    @jax.jit
    def extract(networks: Networks, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        codes = model.encode(networks, image)[0]
        return to_uint8(model.likelihood.mean(model.decode(networks, codes))), prior.log_prob(networks, codes)

    seen = [extract(networks, part) for part in np.array_split(images, math.ceil(len(images) / 100))]
    made, log_prob = (np.concatenate([np.asarray(part[which]) for part in seen]) for which in (0, 1))
    _, psnr, ssim = compare_pairs(made, images)
    return {"PSNR, dB": psnr, "SSIM": ssim, "bits an image": mean_of(-log_prob / math.log(2))}


def main() -> None:
    """Trains and tests as the command line says."""
    config = tyro.cli(Config)
    # Read first: what is missing is told before training, not after.
    test = load(config.data, split="test", data_dir=config.data_dir)

    def test_codes(directory: RunDirectory) -> None:
        networks = use_ema(best_networks(config, build, directory, test.spec))
        measures = measure(make_models(config, test.spec), networks, test.arrays["image"])
        values = ", ".join(f"{name} {estimate:.3f}" for name, estimate in measures.items())
        print(f"{test.size:,} test images and their codes: {values}")
        told = {name: estimate._asdict() for name, estimate in measures.items()}
        of = {"images": test.size, "data": test.source}
        write_whole(directory.path / "test.json", json.dumps({**told, **of}, indent=2) + "\n")

    run(config, build, name="vqvae_cifar10", afterwards=test_codes)


if __name__ == "__main__":
    command(main)
