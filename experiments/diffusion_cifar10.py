"""Diffusion models of small colour images.  python experiments/diffusion_cifar10.py --help

EDM: its preconditioning, noise levels, weights, time steps and Heun's method: Karras et al. (2022),
https://arxiv.org/abs/2206.00364, table 1.

    dit     a transformer of patches, the network for a CPU: Peebles and Xie (2023), https://arxiv.org/abs/2212.09748
    unet    a U-Net with attention, the network for an accelerator: Ho et al. (2020), https://arxiv.org/abs/2006.11239

With --classes the label conditions the network, and guidance strengthens it.  --evaluate-every measures the Fréchet
distance during training; with --inception it is the FID.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import optax
import tyro

from jaxgen import ImageSpec, InputError, chain, ema, minimize
from jaxgen.export import export_controls, export_denoiser
from jaxgen.models import Diffusion, denoising_loss, drop_condition, ema_warmup, labels, use_ema
from jaxgen.models.diffusion import (
    added_noise,
    classifier_free,
    karras,
    karras_grid,
    karras_weight,
    unguided,
    variance_exploding,
)
from jaxgen.nets import DiffusionUNet, DiT
from jaxgen.training import Bounds, Count, GuidanceScale, Positive, Recipe, RunConfig, command, run


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw CIFAR-10 images by a diffusion model."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"guidance", "sample_steps"}

    data: str = "cifar10"
    """cifar10, a folder of images, or an archive."""
    max_minutes: Positive = 120.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    network: Literal["dit", "unet"] = "dit"
    """dit, which is fast on a CPU, or unet."""
    width: Count | None = None
    """Features of a token, by default 256, or channels of the U-Net's largest map, by default 64."""
    classes: Annotated[int, Bounds(least=0)] = 0
    """Number of classes, of labels from 0 to one less; 0 for an unconditional model."""
    guidance: GuidanceScale = 1.0
    """Scale of classifier-free guidance in samples: 1 for none, above 1 to strengthen the label."""
    sample_steps: Annotated[int, Bounds(least=2)] = 18
    """Steps of Heun's method for an image, two evaluations of the network each but the last."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 20,000)."""
    dropout: Annotated[float, Bounds(least=0, most=0.9)] = 0.0
    """Dropout of the U-Net, against memorising small sets."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to sample from it."""
    if config.guidance != 1 and not config.classes:
        raise InputError(f"--guidance {config.guidance}: guidance strengthens a label; give --classes too.")
    if config.dropout and config.network == "dit":
        raise InputError(f"--dropout {config.dropout}: it is that of --network unet.")
    conditions = labels(config.classes) if config.classes else {}
    if config.network == "dit":
        network = DiT(4, config.width or 256, blocks=6, dtype=config.dtype)
    else:
        network = DiffusionUNet(config.width or 64, (1, 2, 2), 2, dropout=config.dropout, dtype=config.dtype)
    model = Diffusion(
        network,
        spec,
        schedule=variance_exploding(),
        prediction=karras(),
        conditions=conditions,
        grid=karras_grid(config.sample_steps),
        guidance=classifier_free(config.guidance) if conditions else unguided,
    )
    loss = denoising_loss(model, karras_weight())
    loss = drop_condition(loss, conditions) if conditions else loss
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
            "denoiser": export_denoiser(use_ema(added_noise(model)), guidance=config.guidance),
        },
    )


def main() -> None:
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="diffusion_cifar10")


if __name__ == "__main__":
    command(main)
