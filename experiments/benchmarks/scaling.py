"""Cost of many devices: the same work per device on 1, 2, 4 and 8 devices, counted in the compiled programs.

python experiments/benchmarks/scaling.py --help

Devices are simulated on the CPU and share its cores, so that nothing is timed: a table has, for each strategy, the
operations of a device's program, and the collectives of a training step with their bytes.
"""

import json
from dataclasses import dataclass
from typing import Any

import hlo
import jax
import numpy as np
import optax
import tyro
from compiler import compile_lowered
from rich.table import Table

from jaxgen import (
    ImageSpec,
    TrainState,
    Update,
    chain,
    init_state,
    make_mesh,
    make_step,
    minimize,
)
from jaxgen.core.parallel import Device, Strategy, by_jit, by_pmap
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import say
from jaxgen.losses import logistic_discriminator, non_saturating_generator
from jaxgen.models import GAN, discriminator_loss, generator_loss
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator
from jaxgen.training import Count, UserPath, command, require_bounds
from jaxgen.training.dispatch import many_steps

COUNTS = (1, 2, 4, 8)
SPEC = ImageSpec(28, 28, 1)


@dataclass(frozen=True)
class Config:
    """Count the work of a DCGAN's training step on 1 to 8 devices."""

    batch_size: Count = 32
    """Images per device."""
    width: Count = 64
    """Channels of the layer next to the image."""
    out: UserPath | None = None
    """The results as JSON."""


def build(width: int) -> tuple[Update, TrainState]:
    """The textbook DCGAN with BatchNorm in both networks."""
    gan = GAN(DCGANGenerator(SPEC, width), DCGANDiscriminator(width), latent_size=100)
    adam = optax.adam(2e-4, b1=0.5)
    update = chain(
        discriminator=minimize(discriminator_loss(gan, logistic_discriminator), adam, wrt="discriminator"),
        generator=minimize(generator_loss(gan, non_saturating_generator), adam, wrt="generator"),
    )
    return update, init_state(update, gan.init(jax.random.key(0), SPEC), jax.random.key(1))


def count(strategy: Strategy, config: Config) -> dict[str, Any]:
    """The operations of a device, the collectives and their bytes, in one step."""
    update, state = build(config.width)
    images = np.zeros((1, config.batch_size * strategy.devices, *SPEC), np.uint8)
    program: Any = strategy.compile(many_steps(make_step(update), lambda _, images: {"image": images}))
    arguments = strategy.put_state(state), {}, strategy.put_sharded(images), np.int32(1)
    compiled = compile_lowered(program.lower(*arguments))
    collectives = hlo.cost(compiled.program).collectives
    return {
        "gigaflop": compiled.flops / 1e9,
        "collectives": {kind: int(number) for kind, (number, _) in sorted(collectives.items())},
        "megabytes": sum(size for _, size in collectives.values()) / 1e6,
    }


def count_all(config: Config, devices: list[Device]) -> list[dict[str, Any]]:
    """A row for each strategy."""
    mesh = make_mesh(devices)
    strategies = {"jit": by_jit(mesh), "fsdp": by_jit(mesh, fsdp=True), "pmap": by_pmap(devices)}
    return [{"strategy": name, "devices": len(devices), **count(s, config)} for name, s in strategies.items()]


def main() -> None:
    """Counts as the command line says."""
    config = tyro.cli(Config)
    require_bounds(config)
    jax.config.update("jax_num_cpu_devices", COUNTS[-1])
    rows = [row for devices in COUNTS for row in count_all(config, jax.devices("cpu")[:devices])]
    table = Table("strategy", "devices", "GFLOP per device", "efficiency", "collectives per step", "MB per step")
    for row in rows:
        alone = next(other for other in rows if other["strategy"] == row["strategy"])
        row["efficiency"] = alone["gigaflop"] / row["gigaflop"]
        kinds = ", ".join(f"{number} {kind}" for kind, number in row["collectives"].items())
        cells = f"{row['gigaflop']:.3f}", f"{row['efficiency']:.3f}", kinds, f"{row['megabytes']:.2f}"
        table.add_row(row["strategy"], str(row["devices"]), *cells)
    say(table)
    if config.out:
        write_whole(config.out, json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    command(main)
