"""Cost of gradient penalties, exact and by finite differences, relative to a discriminator's step without one.

python experiments/benchmarks/penalty_cost.py --help
"""

import time
from dataclasses import dataclass
from statistics import median

import jax
import numpy as np
import optax
import tyro
from rich.table import Table

from jaxgen import ImageSpec, add, init_state, make_step, minimize
from jaxgen.io.terminal import say
from jaxgen.losses import logistic_discriminator
from jaxgen.models import GAN, discriminator_loss, r1_loss, r2_loss
from jaxgen.nets import (
    DCGANDiscriminator,
    DCGANGenerator,
    Module,
    R3GANDiscriminator,
    R3GANGenerator,
    ResidualDiscriminator,
    ResidualGenerator,
)
from jaxgen.training import Count, command, require_bounds

SMALL, COLOUR = ImageSpec(28, 28, 1), ImageSpec(32, 32, 3)


@dataclass(frozen=True)
class Config:
    """Time the discriminator's step with R1 and R2, exact and by finite differences."""

    batch_size: Count = 32
    """Images per step."""
    width: Count = 32
    """Channels of the widest or the first maps, as each network counts them."""
    rounds: Count = 5
    """Repetitions of each, of which the median counts."""
    steps: Count = 5
    """Steps in a repetition."""


def networks(width: int) -> dict[str, tuple[ImageSpec, Module, Module]]:
    """The generators and discriminators that are measured."""
    return {
        "DCGAN, 28x28x1": (SMALL, DCGANGenerator(SMALL, width), DCGANDiscriminator(width, normalize=False)),
        "residual, 32x32x3": (COLOUR, ResidualGenerator(COLOUR, width), ResidualDiscriminator(width)),
        "R3GAN's, 32x32x3": (COLOUR, R3GANGenerator(COLOUR, width), R3GANDiscriminator(width)),
    }


def main() -> None:
    """Measures as the command line says."""
    config = tyro.cli(Config)
    require_bounds(config)
    table = Table("networks", "no penalty", "exact", "finite differences", title="ms per discriminator's step (ratio)")
    for name, (spec, generator, discriminator) in networks(config.width).items():
        gan = GAN(generator, discriminator, latent_size=64)
        game = discriminator_loss(gan, logistic_discriminator)
        losses = [game]
        for approximate in (False, True):
            penalties = {"r1": r1_loss(gan, gamma=1.0, finite_differences=approximate)}
            penalties["r2"] = r2_loss(gan, gamma=1.0, finite_differences=approximate)
            losses.append(add(game=game, **penalties))
        first = jax.jit(gan.init, static_argnames="spec")(jax.random.key(0), spec=spec)
        images = np.random.default_rng(0).integers(0, 256, (config.batch_size, *spec), np.uint8)
        times = [[] for _ in losses]
        steps = []
        for loss in losses:
            update = minimize(loss, optax.adam(1e-4), wrt="discriminator")
            steps.append((jax.jit(make_step(update)), init_state(update, first, jax.random.key(1))))
        for turn in range(config.rounds + 1):
            for (step, first_state), taken in zip(steps, times, strict=True):
                state, began = first_state, time.perf_counter()
                for _ in range(config.steps):
                    state, _ = step(state, {"image": images})
                jax.block_until_ready(state)
                if turn:  # the first turn compiles
                    taken.append((time.perf_counter() - began) / config.steps)
        typical = [1e3 * median(taken) for taken in times]
        table.add_row(name, *(f"{value:.1f} ({value / typical[0]:.2f})" for value in typical))
        say("  ".join([name, *(f"{value:.1f} ({value / typical[0]:.2f})" for value in typical)]))
    say(table)


if __name__ == "__main__":
    command(main)
