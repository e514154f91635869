"""Consistency tuning of a flow of digits: one step, not many.  python experiments/consistency_mnist.py --help

It goes on from a run of flow_mnist.py, with the same options of the network:

    python experiments/flow_mnist.py --out runs/flow_mnist
    python experiments/consistency_mnist.py --start-from runs/flow_mnist --out runs/consistency
    python -m jaxgen sample runs/consistency/sampler_2 --num 64 --out digits.png

`steps.png` shows digits in 1, 2 and 4 steps from the same noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
import optax
import tyro

from jaxgen import Array, ImageSpec, Networks, chain, ema, minimize, to_uint8
from jaxgen.export import export_sampler
from jaxgen.models import ema_warmup, labels, use_ema
from jaxgen.models.diffusion import (
    Diffusion,
    clean,
    consistency_tuning_loss,
    flow_matching_weight,
    linear,
    logit_normal_times,
    multistep_consistency,
    noise_levels,
    sigmoid_mapping,
    with_boundary,
)
from jaxgen.nets import DiT
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, command, run

COLUMNS = 16
LEVELS = {1: (), 2: (1.0,), 4: (4.0, 1.0, 0.3)}
"""The noise levels sigma / alpha between pure noise and the image, by the number of steps."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Tune a flow of MNIST digits to draw in one step."""

    max_minutes: Positive = 30.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    classes: Annotated[int, Bounds(least=0)] = 0
    """Number of classes, of labels from 0 to one less; 0 for an unconditional model."""
    doubling: Count = 2_000
    """Steps after which the interval between the two times halves."""
    patch: Count = 7
    """Side of the patches that are the transformer's tokens."""
    width: Count = 192
    """Features of a token."""
    blocks: Count = 3
    """Transformer blocks."""
    learning_rate: Positive = 2e-4
    """Adam's; it decays as lr / (1 + step / 20,000)."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to sample from it."""
    model = Diffusion(
        network=DiT(config.patch, config.width, config.blocks, dtype=config.dtype),
        spec=spec,
        # The paper's noise levels: the logarithm of sigma / alpha is normal.
        schedule=linear(logit_normal_times(-1.1, 2.0)),
        prediction=with_boundary(clean),
        conditions=labels(config.classes) if config.classes else {},
        solver=multistep_consistency,
    )
    loss = consistency_tuning_loss(model, sigmoid_mapping(config.doubling), flow_matching_weight())
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000))
    update = chain(
        denoiser=minimize(loss, adam, wrt="denoiser"),
        average=ema("denoiser", into="denoiser_ema", decay=ema_warmup(0.9995)),
    )
    samplers = {
        steps: use_ema(model._replace(grid=noise_levels(*levels)).sampler()) for steps, levels in LEVELS.items()
    }

    def pictures(networks: Networks, batch: Mapping[str, Array]) -> dict[str, Array]:
        keys = jax.random.split(jax.random.key(0), COLUMNS)
        fields = {name: batch[name][:COLUMNS] for name in model.conditions}
        return {"steps": jnp.stack([to_uint8(draw(networks, keys, **fields)) for draw in samplers.values()])}

    return Recipe(
        networks=partial(model.init, spec=spec),
        update=update,
        sampler=samplers[1],
        pictures=pictures,
        exports={f"sampler_{steps}": export_sampler(samplers[steps]) for steps in (2, 4)},
    )


def main() -> None:
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="consistency_mnist")


if __name__ == "__main__":
    command(main)
