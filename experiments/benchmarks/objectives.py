"""Every adversarial objective with every gradient penalty, for 300 steps each on the embedded digits.

python experiments/benchmarks/objectives.py --help

Measures for each pair the Fréchet distance of drawn digits to real ones, and their diversity.  This shows stability: no
pair has had time to become good.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import optax
import tyro
from rich.table import Table

from jaxgen import InputError, Update, add, chain, init_state, make_step, minimize
from jaxgen.data import Dataset, batch_indices, load
from jaxgen.export import seeded
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import say
from jaxgen.losses import (
    hinge_discriminator,
    least_squares_discriminator,
    least_squares_generator,
    logistic_discriminator,
    minimax_generator,
    non_saturating_generator,
    relativistic_average,
    relativistic_paired,
    wasserstein_critic,
    wasserstein_generator,
)
from jaxgen.models import (
    GAN,
    discriminator_loss,
    generator_loss,
    gradient_penalty_loss,
    r1_loss,
    relativistic_generator_loss,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator
from jaxgen.training import Count, Positive, Seed, UserPath, command, require_bounds
from jaxgen.training.best import frechet_score
from jaxgen.training.watchdog import diversity

OBJECTIVES = {
    "non-saturating": (logistic_discriminator, non_saturating_generator),
    "minimax": (logistic_discriminator, minimax_generator),
    "least squares": (least_squares_discriminator, least_squares_generator),
    "Wasserstein": (wasserstein_critic, wasserstein_generator),
    "hinge": (hinge_discriminator, wasserstein_generator),
    "relativistic paired": (relativistic_paired, None),
    "relativistic average": (relativistic_average, None),
}
PENALTIES = {"none": None, "R1": r1_loss, "WGAN-GP": gradient_penalty_loss}
DRAWN = 2_000
COMPARED = 64


@dataclass(frozen=True)
class Config:
    """Train every objective with every penalty for a short while."""

    steps: Count = 300
    """Training steps of each pair."""
    batch_size: Count = 32
    """Images per step."""
    learning_rate: Positive = 5e-4
    """Adam's for both networks."""
    seed: Seed = 0
    """Seed of all random numbers."""
    out: UserPath = Path("objectives.json")
    """The results as JSON."""


def update_of(gan: GAN, objective: str, penalty: str, learning_rate: float) -> Update:
    """Trains both networks in turn."""
    discriminator, generator = OBJECTIVES[objective]
    adam, regularizer = optax.adam(learning_rate, b1=0.0, b2=0.99), PENALTIES[penalty]
    loss = discriminator_loss(gan, discriminator)
    if regularizer is not None:
        weight = {"gamma": 1.0} if regularizer is r1_loss else {"weight": 10.0}
        loss = add(adversarial=loss, penalty=regularizer(gan, **weight))
    generating = generator_loss(gan, generator) if generator else relativistic_generator_loss(gan, discriminator)
    return chain(
        discriminator=minimize(loss, adam, wrt="discriminator"), generator=minimize(generating, adam, wrt="generator")
    )


def measure(config: Config, gan: GAN, data: Dataset, objective: str, penalty: str) -> dict[str, float]:
    """Trains a pair: the Fréchet distance, the diversity relative to real digits, and whether all arrays are finite."""
    update = update_of(gan, objective, penalty, config.learning_rate)
    state = init_state(
        update,
        jax.jit(lambda key: gan.init(key, data.spec))(jax.random.key(config.seed)),
        jax.random.key(config.seed + 1),
    )
    step = jax.jit(make_step(update), donate_argnums=0)
    for number in range(config.steps):
        chosen = batch_indices(config.seed, number * config.batch_size, config.batch_size, data.size)
        state, _ = step(state, {"image": data.arrays["image"][chosen]})
    finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(state.networks)))
    score = frechet_score(gan.sampler(), data, num=DRAWN, seed=config.seed)(state.networks)
    draw = jax.jit(seeded(gan.sampler(), state.networks))
    drawn = np.asarray(draw(np.uint32(config.seed), np.arange(COMPARED, dtype=np.int32)))
    real = data.arrays["image"][batch_indices(config.seed, 0, COMPARED, data.size)]
    return {**score, "diversity": diversity(drawn) / diversity(real), "finite": finite}


def main() -> None:
    """Measures as the command line says."""
    config = tyro.cli(Config)
    require_bounds(config)
    if not config.out.parent.is_dir():
        raise InputError(f"--out {config.out} cannot be written: {config.out.parent} is not a folder.")
    data = load("mnist", offline=True, announce=say)
    he_normal = jax.nn.initializers.he_normal()
    gan = GAN(
        generator=DCGANGenerator(data.spec, 16, kernel_init=he_normal),
        discriminator=DCGANDiscriminator(16, normalize=False, kernel_init=he_normal),
        latent_size=64,
    )
    table = Table("objective", *PENALTIES, title=f"Fréchet distance, diversity after {config.steps:,} steps")
    rows = {}
    for objective in OBJECTIVES:
        rows[objective] = {penalty: measure(config, gan, data, objective, penalty) for penalty in PENALTIES}
        cells = [
            f"{value['frechet_distance']:.0f}, {value['diversity']:.2f}" if value["finite"] else "not finite"
            for value in rows[objective].values()
        ]
        say("  |  ".join([objective, *cells]))
        table.add_row(objective, *cells)
    say(table)
    write_whole(config.out, json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    command(main)
