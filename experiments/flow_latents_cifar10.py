"""Flow matching in the latent space of an autoencoder.  python experiments/flow_latents_cifar10.py --help

First a VAE learns to encode images as latent maps with a quarter of their sides.  Then it is frozen, and a transformer
learns the flow from noise to such maps, which the VAE decodes: Rombach et al. (2022), https://arxiv.org/abs/2112.10752.
One run does both, and its sampler draws images:

    python experiments/flow_latents_cifar10.py --classes 10 --guidance 1.5 --out runs/flow_latents
    python -m jaxgen sample runs/flow_latents --label 3 --num 64 --out cats.png
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax
import optax
import tyro

from jaxgen import ImageSpec, InputError, chain, ema, minimize, phases
from jaxgen.export import export_controls
from jaxgen.io.terminal import say
from jaxgen.losses import gaussian
from jaxgen.models import (
    VAE,
    Diffusion,
    denoising_loss,
    drop_condition,
    elbo_loss,
    ema_warmup,
    labels,
    reconstructions,
    use_ema,
)
from jaxgen.models.diffusion import (
    classifier_free,
    decoded,
    decoded_controls,
    follow_moments,
    linear,
    logit_normal_times,
    on_latents,
    unguided,
    uniform_grid,
    vae_autoencoder,
)
from jaxgen.nets import DiT, FromMap, MapDecoder, MapEncoder, MapPosterior
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw CIFAR-10 images by flow matching in latents."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"guidance", "sample_steps"}

    data: str = "cifar10"
    """cifar10, a folder of images, or an archive; sides are multiples of 4."""
    max_minutes: Positive = 120.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 64
    """Images per step, over all devices."""
    autoencoder_steps: Count = 4_000
    """Steps of the autoencoder; the flow trains in those after them."""
    channels: Count = 4
    """Channels of the latent maps."""
    autoencoder_width: Count = 64
    """Channels of the autoencoder's hidden layers."""
    classes: Annotated[int, Bounds(least=0)] = 0
    """Number of classes, of labels from 0 to one less; 0 for an unconditional model."""
    guidance: Annotated[float, Bounds(least=0)] = 1.0
    """Scale of classifier-free guidance in samples: 1 for none, above 1 to strengthen the label."""
    sample_steps: Annotated[int, Bounds(least=2)] = 16
    """Steps of Heun's method for an image, two evaluations of the network each."""
    patch: Count = 2
    """Side of the patches of a latent map that are the transformer's tokens."""
    width: Count = 256
    """Features of a token."""
    blocks: Count = 6
    """Transformer blocks."""
    learning_rate: Positive = 1e-3
    """Adam's; the autoencoder's ends at 0 as a cosine, the transformer's decays as lr / (1 + step / 20,000)."""


def make_models(config: Config, spec: ImageSpec) -> tuple[VAE, Diffusion]:
    """The autoencoder, and the flow of its latent maps."""
    maps = ImageSpec(spec.height // 4, spec.width // 4, config.channels)
    width, conditions = config.autoencoder_width, labels(config.classes) if config.classes else {}
    vae = VAE(
        encoder=MapPosterior(MapEncoder(2 * config.channels, width, dtype=config.dtype)),
        decoder=FromMap(MapDecoder(spec, width, dtype=config.dtype), maps),
        likelihood=gaussian(0.05),
        latent_size=maps.height * maps.width * maps.channels,
    )
    flow = Diffusion(
        network=DiT(config.patch, config.width, config.blocks, dtype=config.dtype),
        spec=maps,
        schedule=linear(logit_normal_times()),
        conditions=conditions,
        grid=uniform_grid(config.sample_steps),
        guidance=classifier_free(config.guidance) if conditions else unguided,
    )
    return vae, flow


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    if config.guidance != 1 and not config.classes:
        raise InputError(f"--guidance {config.guidance}: guidance strengthens a label; give --classes too.")
    vae, flow = make_models(config, spec)
    autoencoder = vae_autoencoder(vae, flow.spec)
    encoding = optax.chain(
        optax.clip_by_global_norm(500.0),  # the first gradients, of thousands of nats, would diverge
        optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.autoencoder_steps)),
    )
    flowing = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000))
    loss = on_latents(denoising_loss(flow), autoencoder)
    if flow.conditions:
        loss = drop_condition(loss, flow.conditions)
    update = phases(
        config.autoencoder_steps,
        before=chain(
            autoencoder=minimize(elbo_loss(vae), encoding, wrt=("encoder", "decoder")),
            moments=follow_moments(autoencoder),
        ),
        after=chain(
            denoiser=minimize(loss, flowing, wrt="denoiser"),
            average=ema("denoiser", into="denoiser_ema", decay=ema_warmup(0.9995)),
        ),
    )
    return Recipe(
        networks=lambda key: vae.init(key, spec) | flow.init(jax.random.fold_in(key, 1), flow.spec),
        update=update,
        sampler=use_ema(decoded(flow.sampler(), autoencoder)),
        pictures=lambda networks, batch: {"reconstructions": reconstructions(vae, networks, batch)},
        exports={"controls": export_controls(use_ema(decoded_controls(flow.controls, autoencoder)))},
    )


def main() -> None:
    """Trains as the command line says."""
    config = tyro.cli(Config)

    def warn(directory: RunDirectory) -> None:
        if directory.step() <= config.autoencoder_steps:
            say(f"The flow has not trained yet: --autoencoder-steps {config.autoencoder_steps} come first.")

    run(config, build, name="flow_latents_cifar10", afterwards=warn)


if __name__ == "__main__":
    command(main)
