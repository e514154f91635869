"""Flow matching of digits.  python experiments/flow_mnist.py --help

A transformer learns to remove noise from digits; a solver draws digits from pure noise by the flow that follows from
it.  A smaller transformer trains beside it for a while: what the large one does better is then exaggerated, which is
autoguidance, Karras et al. (2024), https://arxiv.org/abs/2406.02507.  With --classes the label conditions the networks,
and guidance strengthens the condition:

    python experiments/flow_mnist.py --classes 10 --guidance 1.5 --out runs/flow_labels
    python -m jaxgen sample runs/flow_labels --label 7 --num 64 --out sevens.png
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax
import optax
import tyro

from jaxgen import ImageSpec, InputError, Loss, chain, ema, minimize, until
from jaxgen.export import export_controls, export_denoiser
from jaxgen.models import Diffusion, denoising_loss, drop_condition, labels, power_decay, use_ema
from jaxgen.models.diffusion import (
    Worse,
    added_noise,
    classifier_free,
    clean,
    flow_matching_weight,
    linear,
    logit_normal_times,
    unguided,
    uniform_grid,
)
from jaxgen.nets import DiT
from jaxgen.training import Bounds, Count, GuidanceScale, Positive, Recipe, RunConfig, command, run

SMALL_STEPS = 6_000
"""Steps in which the smaller transformer trains; then it stays as it is."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw MNIST digits by flow matching with a diffusion transformer."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"guidance", "autoguidance", "sample_steps"}

    max_minutes: Positive = 60.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    classes: Annotated[int, Bounds(least=0)] = 0
    """Number of classes, of labels from 0 to one less; 0 for an unconditional model."""
    dropped: Annotated[float, Bounds(least=0, most=1)] = 0.1
    """Probability with which training drops an image's label, for guidance."""
    guidance: GuidanceScale = 1.0
    """Scale of classifier-free guidance in samples: 1 for none, above 1 to strengthen the label.  A finished run that
    is started again with another scale, or another number of steps, exports its sampler anew."""
    autoguidance: GuidanceScale = 1.4
    """Scale of autoguidance by a transformer of one block and half the width, in samples: 1 for none."""
    sample_steps: Annotated[int, Bounds(least=2)] = 16
    """Steps of Heun's method for an image, two evaluations of the network each but the last."""
    patch: Count = 7
    """Side of the patches that are the transformer's tokens."""
    width: Count = 192
    """Features of a token."""
    blocks: Count = 3
    """Transformer blocks."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 20,000)."""


def make_models(config: Config, spec: ImageSpec) -> tuple[Diffusion, Diffusion]:
    """The model, and the smaller one that guides it."""
    conditions = labels(config.classes) if config.classes else {}
    small = Diffusion(
        network=DiT(config.patch, -(-config.width // 2), blocks=1, dtype=config.dtype),
        spec=spec,
        schedule=linear(logit_normal_times(0.5)),  # more of the times where noise is strong: most of the error is there
        prediction=clean,
        conditions=conditions,
        name="worse",
    )
    model = small._replace(
        network=DiT(config.patch, config.width, config.blocks, dtype=config.dtype),
        grid=uniform_grid(config.sample_steps),
        guidance=classifier_free(config.guidance) if conditions else unguided,
        worse=Worse(small, config.autoguidance),
        name="denoiser",
    )
    return model, small


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    if config.guidance != 1 and not config.classes:
        raise InputError(f"--guidance {config.guidance}: guidance strengthens a label; give --classes too.")
    if config.guidance != 1 and not config.dropped:
        raise InputError(f"--dropped {config.dropped}: --guidance needs a model that also trained without the label.")
    model, small = make_models(config, spec)

    def loss_of(model: Diffusion) -> Loss:
        loss = denoising_loss(model, flow_matching_weight())
        return drop_condition(loss, model.conditions, config.dropped) if model.conditions else loss

    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000))
    update = chain(
        denoiser=minimize(loss_of(model), adam, wrt="denoiser"),
        average=ema("denoiser", into="denoiser_ema", decay=power_decay(0.1)),
        worse=until(
            SMALL_STEPS,
            chain(
                network=minimize(loss_of(small), adam, wrt="worse"),
                average=ema("worse", into="worse_ema", decay=power_decay(0.1)),
            ),
        ),
    )
    return Recipe(
        networks=lambda key: model.init(key, spec) | small.init(jax.random.fold_in(key, 1), spec),
        update=update,
        sampler=use_ema(model.sampler()),
        exports={
            "controls": export_controls(use_ema(model.controls)),
            "denoiser": export_denoiser(use_ema(added_noise(model)), guidance=config.guidance),
            "autoguided": export_denoiser(use_ema(added_noise(model, autoguided=True)), guidance=config.guidance),
        },
    )


def main() -> None:
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="flow_mnist")


if __name__ == "__main__":
    command(main)
