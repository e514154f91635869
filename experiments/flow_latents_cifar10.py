"""Flow matching in the latent space of an autoencoder.  python experiments/flow_latents_cifar10.py --help

First a VAE learns to encode images as latent maps with a quarter of their sides.  Then it is frozen, and a transformer
learns the flow from noise to such maps, which the VAE decodes: Rombach et al. (2022), https://arxiv.org/abs/2112.10752.
One run does both, and its sampler draws images, with autoguidance by a smaller transformer as in flow_mnist.py:

    python experiments/flow_latents_cifar10.py --classes 10 --guidance 1.5 --out runs/flow_latents
    python -m jaxgen sample runs/flow_latents --label 3 --num 64 --out cats.png
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax
import optax
import tyro

from jaxgen import Array, ImageSpec, InputError, Networks, Update, chain, ema, minimize, until
from jaxgen.export import export_controls
from jaxgen.io.terminal import say
from jaxgen.models import Diffusion, denoising_loss, drop_condition, labels, power_decay, reconstructions, use_ema
from jaxgen.models.diffusion import (
    Worse,
    autoencoder_first,
    classifier_free,
    decoded,
    decoded_controls,
    linear,
    logit_normal_times,
    map_vae,
    on_latents,
    unguided,
    uniform_grid,
)
from jaxgen.nets import DiT
from jaxgen.training import Bounds, Count, GuidanceScale, Positive, Recipe, RunConfig, RunDirectory, command, run

SMALL_STEPS = 6_000
"""Steps of the flow in which the smaller transformer trains; then it stays as it is."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw CIFAR-10 images by flow matching in latents."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"guidance", "autoguidance", "sample_steps"}

    data: str = "cifar10"
    """cifar10, a folder of images, or an archive; sides are multiples of 4."""
    max_minutes: Positive = 120.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    autoencoder_steps: Count = 4_000
    """Steps of the autoencoder; the flow trains in those after them."""
    channels: Count = 4
    """Channels of the latent maps."""
    autoencoder_width: Count = 64
    """Channels of the autoencoder's hidden layers."""
    classes: Annotated[int, Bounds(least=0)] = 0
    """Number of classes, of labels from 0 to one less; 0 for an unconditional model."""
    guidance: GuidanceScale = 1.0
    """Scale of classifier-free guidance in samples: 1 for none, above 1 to strengthen the label."""
    autoguidance: GuidanceScale = 1.4
    """Scale of autoguidance by a transformer of one block and half the width, in samples: 1 for none."""
    sample_steps: Annotated[int, Bounds(least=2)] = 16
    """Steps of Heun's method for an image, two evaluations of the network each but the last."""
    patch: Count = 2
    """Side of the patches of a latent map that are the transformer's tokens."""
    width: Count = 256
    """Features of a token."""
    blocks: Count = 6
    """Transformer blocks."""
    learning_rate: Positive = 1e-3
    """Adam's; the autoencoder's ends at 0 as a cosine, the transformer's decays as lr / (1 + step / 20,000)."""


def make_models(config: Config, maps: ImageSpec) -> tuple[Diffusion, Diffusion]:
    """The model of latent maps, and the smaller one that guides it."""
    small = Diffusion(
        network=DiT(config.patch, -(-config.width // 2), blocks=1, dtype=config.dtype),
        spec=maps,
        schedule=linear(logit_normal_times()),
        conditions=labels(config.classes) if config.classes else {},
        name="worse",
    )
    flow = small._replace(
        network=DiT(config.patch, config.width, config.blocks, dtype=config.dtype),
        grid=uniform_grid(config.sample_steps),
        guidance=classifier_free(config.guidance) if config.classes else unguided,
        worse=Worse(small, config.autoguidance),
        name="denoiser",
    )
    return flow, small


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    if config.guidance != 1 and not config.classes:
        raise InputError(f"--guidance {config.guidance}: guidance strengthens a label; give --classes too.")
    vae, autoencoder = map_vae(spec, config.channels, config.autoencoder_width, config.dtype)
    flow, small = make_models(config, autoencoder.maps)

    def init(key: Array) -> Networks:
        keys = [key, jax.random.fold_in(key, 1), jax.random.fold_in(key, 2)]
        return vae.init(keys[0], spec) | flow.init(keys[1], flow.spec) | small.init(keys[2], small.spec)

    def trained(model: Diffusion) -> Update:
        loss = on_latents(denoising_loss(model), autoencoder)
        loss = drop_condition(loss, model.conditions) if model.conditions else loss
        adam = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000))
        return chain(
            network=minimize(loss, adam, wrt=model.name),
            average=ema(model.name, into=f"{model.name}_ema", decay=power_decay(0.1)),
        )

    after = chain(denoiser=trained(flow), worse=until(config.autoencoder_steps + SMALL_STEPS, trained(small)))
    return Recipe(
        networks=init,
        update=autoencoder_first(config.autoencoder_steps, vae, autoencoder, after, learning_rate=config.learning_rate),
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
