"""A VQ-VAE of colour images with a prior of its codes.  python experiments/vqvae_cifar10.py --help

An encoder maps an image to a small map of codes, and a decoder reconstructs the image; at the same time a gated
PixelCNN learns a prior of the codes, whose samples are decoded to images.  It ends with a picture of reconstructions,
the reconstruction error of the test images and the bits of their codes.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import jax
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, Networks, chain, ema, minimize, to_uint8
from jaxgen.evaluation import Estimate, compare_pairs, images_to_test, in_parts, mean_of, write_results
from jaxgen.losses import gaussian
from jaxgen.models import (
    VQVAE,
    CodePrior,
    code_prior_loss,
    ema_networks,
    ema_warmup,
    reconstructions,
    use_ema,
    vector_quantized_loss,
    vqvae_sampler,
)
from jaxgen.nets import GatedPixelCNN, MapDecoder, MapEncoder
from jaxgen.training import (
    Bounds,
    Count,
    Positive,
    Recipe,
    RunConfig,
    RunDirectory,
    best_networks,
    command,
    load_split,
    run,
)

NETWORKS = ("encoder", "decoder", "codebook", "prior")


@dataclass(frozen=True)
class Config(RunConfig):
    """Train a VQ-VAE of CIFAR-10 and a prior of its codes."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"temperature", "test_images"}

    data: Literal["cifar10"] = "cifar10"
    """Prepared by TFDS as array_record, under --data-dir."""
    max_minutes: Positive = 60.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 64
    """Images per step, over all devices."""
    codes: Annotated[int, Bounds(least=2)] = 256
    """Vectors of the codebook."""
    vector_size: Count = 32
    """Dimension of a codebook vector."""
    width: Count = 64
    """Channels of the encoder, the decoder and the prior."""
    commitment: Positive = 0.25
    """Weight of the encoder's distance from the codebook."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 20,000)."""
    temperature: Positive = 1.0
    """Sampling temperature; below 1 samples concentrate on the modes."""
    test_images: Annotated[int, Bounds(least=0)] = 10_000
    """Test images for the evaluation, fewer for a run of fewer than 1,000 steps; 0 for no test."""


def make_models(config: Config, spec: ImageSpec) -> tuple[VQVAE, CodePrior]:
    """The VQ-VAE and the prior of its codes."""
    model = VQVAE(
        encoder=MapEncoder(config.vector_size, config.width, dtype=config.dtype),
        decoder=MapDecoder(spec, config.width, dtype=config.dtype),
        likelihood=gaussian(0.05),
        codes=config.codes,
    )
    network = GatedPixelCNN(config.codes, config.width, dtype=config.dtype)
    return model, CodePrior(network, config.codes, (spec.height // 4, spec.width // 4))


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    model, prior = make_models(config, spec)

    def networks(key: jax.Array):
        images, codes = jax.random.split(key)
        return {**model.init(images, spec), **prior.init(codes)}

    adam = optax.chain(
        optax.clip_by_global_norm(500.0),  # the first gradients, of thousands of nats, would diverge
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
        sampler=use_ema(vqvae_sampler(model, prior, config.temperature)),
        pictures=use_ema(lambda networks, batch: {"reconstructions": reconstructions(model, networks, batch)}),
    )


def measure(models: tuple[VQVAE, CodePrior], networks: Networks, images: np.ndarray) -> tuple[int, dict[str, Estimate]]:
    """How many images were evaluated, their reconstruction error, and the bits of their codes under the prior."""
    model, prior = models

    @jax.jit
    def encode(networks: Networks, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        codes = model.encode(networks, image)[0]
        return to_uint8(model.likelihood.mean(model.decode(networks, codes))), prior.log_prob(networks, codes)

    made, log_prob = in_parts(partial(encode, networks), images)
    _, psnr, ssim = compare_pairs(made, images[: len(made)])
    return len(made), {"PSNR, dB": psnr, "SSIM": ssim, "bits/image": mean_of(-log_prob / math.log(2))}


def main() -> None:
    """Trains and tests as the command line says."""
    config = tyro.cli(Config)
    # Read first: missing data are an error before training, not after.
    test = load_split(config, "test")

    def test_codes(directory: RunDirectory) -> None:
        networks = ema_networks(best_networks(config, build, directory, test.spec))
        images = images_to_test(test.arrays["image"], directory.step(), config.test_images)
        count, measures = measure(make_models(config, test.spec), networks, images)
        details = {"images": count, "data": test.source}
        title = f"{count:,} test images and their codes"
        write_results(directory.path / "test.json", {"test": measures}, title=title, details=details)

    run(config, build, name="vqvae_cifar10", afterwards=test_codes if config.test_images else None)


if __name__ == "__main__":
    command(main)
