"""MeanFlow: digits in one step.  python experiments/meanflow_mnist.py --help

A transformer learns the average velocity of the flow from noise to digits, so that one evaluation draws a digit.  More
steps draw better ones with the same network; the samplers of 2 and 4 are exported too:

    python experiments/meanflow_mnist.py --classes 10 --guidance 2 --out runs/meanflow_labels
    python -m jaxgen sample runs/meanflow_labels/sampler_4 --label 7 --num 64 --out sevens.png
    python -m jaxgen sample runs/meanflow_labels --label 7 --solver heun --num 64 --out sevens.png

`steps.png` shows digits of the same noise in 1, 2 and 4 steps, and below by a solver of the instantaneous velocity.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
import optax
import tyro

from jaxgen import Array, ImageSpec, InputError, Networks, chain, ema, minimize, to_uint8
from jaxgen.export import export_denoiser, export_sampler
from jaxgen.models import drop_condition, ema_warmup, labels, use_ema
from jaxgen.models.diffusion import (
    Diffusion,
    added_noise,
    heun,
    karras_by_time,
    linear,
    logit_normal_times,
    mean_flow_loss,
    mean_flow_sampler,
    uniform_grid,
)
from jaxgen.nets import DiT
from jaxgen.training import Bounds, Count, GuidanceScale, Positive, Recipe, RunConfig, command, run

COLUMNS = 16
STD = 0.6
"""The standard deviation of MNIST in [-1, 1]."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw MNIST digits in one step with a MeanFlow."""

    max_minutes: Positive = 60.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    classes: Annotated[int, Bounds(least=0)] = 0
    """Number of classes, of labels from 0 to one less; 0 for an unconditional model."""
    dropped: Annotated[float, Bounds(least=0, most=1)] = 0.1
    """Probability with which training drops an image's label, for guidance."""
    guidance: GuidanceScale = 1.0
    """Scale of classifier-free guidance that the network learns: 1 for none, above 1 to strengthen the label."""
    sample_steps: Count = 1
    """Steps for an image in sample grids and by `sampler/`, one evaluation of the network each."""
    share: Annotated[float, Bounds(least=0, most=1)] = 0.25
    """The share of a batch that trains average velocities; the rest trains instantaneous ones."""
    patch: Count = 7
    """Side of the patches that are the transformer's tokens."""
    width: Count = 192
    """Features of a token."""
    blocks: Count = 3
    """Transformer blocks."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 20,000)."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to sample from it."""
    if config.guidance != 1 and not config.classes:
        raise InputError(f"--guidance {config.guidance}: guidance strengthens a label; give --classes too.")
    if config.guidance != 1 and not config.dropped:
        raise InputError(f"--dropped {config.dropped}: --guidance needs a model that also trained without the label.")
    conditions = labels(config.classes) if config.classes else {}
    model = Diffusion(
        network=DiT(config.patch, config.width, config.blocks, intervals=True, fastest=20.0, dtype=config.dtype),
        spec=spec,
        schedule=linear(logit_normal_times(-0.4, 1.0)),
        prediction=karras_by_time(STD),
        conditions=conditions,
        solver=heun,
        grid=uniform_grid(16),
    )
    loss = mean_flow_loss(model, share=config.share, guidance=config.guidance)
    if conditions:
        loss = drop_condition(loss, conditions, config.dropped)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000))
    update = chain(
        denoiser=minimize(loss, adam, wrt="denoiser"),
        average=ema("denoiser", into="denoiser_ema", decay=ema_warmup(0.9995)),
    )
    samplers = {steps: use_ema(mean_flow_sampler(model, steps)) for steps in (1, 2, 4, config.sample_steps)}

    def pictures(networks: Networks, batch: Mapping[str, Array]) -> dict[str, Array]:
        keys = jax.random.split(jax.random.key(0), COLUMNS)
        fields = {name: batch[name][:COLUMNS] for name in conditions}
        ways = [*(samplers[steps] for steps in (1, 2, 4)), use_ema(model.sampler())]
        return {"steps": jnp.stack([to_uint8(draw(networks, keys, **fields)) for draw in ways])}

    return Recipe(
        networks=partial(model.init, spec=spec),
        update=update,
        sampler=samplers[config.sample_steps],
        pictures=pictures,
        exports={
            "denoiser": export_denoiser(use_ema(added_noise(model))),
            **{f"sampler_{steps}": export_sampler(samplers[steps]) for steps in (2, 4)},
        },
    )


def main() -> None:
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="meanflow_mnist")


if __name__ == "__main__":
    command(main)
