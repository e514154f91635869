"""How far latents disentangle the factors that images were made of: the mutual information gap.

python experiments/benchmarks/disentanglement.py --help

The images are made of five factors, all combinations: a square or a disc, its size, its position across and down, and
its brightness.  Chen et al. (2018), https://arxiv.org/abs/1802.04942, section 4.1, did the same with dSprites.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import jax
import numpy as np
import optax
import tyro
from rich.table import Table

from jaxgen import ImageSpec, InputError, Loss, init_state, make_step, minimize, scan_steps
from jaxgen.data import batch_indices
from jaxgen.evaluation import mutual_information_gap
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import say
from jaxgen.losses import bernoulli
from jaxgen.models import VAE, elbo_loss, total_correlation_loss
from jaxgen.nets import MLPDecoder, MLPEncoder
from jaxgen.training import Count, Positive, Seed, UserPath, command, require_bounds

SIDE = 28
FACTORS = {
    "shape": (0, 1),
    "size": (3, 4, 5),
    "across": tuple(range(6, 23, 2)),
    "down": tuple(range(6, 23, 2)),
    "brightness": (120, 180, 240),
}
DISPATCH = 100
"""Steps in one dispatch."""


@dataclass(frozen=True)
class Config:
    """Train VAE, beta-VAE and beta-TCVAE on images made of known factors."""

    steps: Count = 20_000
    """Training steps of each."""
    seeds: Count = 3
    """Trainings of each, from different seeds."""
    batch_size: Count = 64
    """Images per step."""
    latent_size: Count = 10
    """Latent dimension."""
    beta: Positive = 4.0
    """The weight of the beta-VAE's divergence, and of the beta-TCVAE's total correlation."""
    learning_rate: Positive = 1e-3
    """Adam's."""
    seed: Seed = 0
    """The first seed."""
    out: UserPath = Path("disentanglement.json")
    """The results as JSON."""


def made_images() -> tuple[np.ndarray, np.ndarray]:
    """All images uint8 [N, 28, 28, 1], and the index of each factor's value, [N, 5]."""
    y, x = np.mgrid[:SIDE, :SIDE]
    images = []
    for shape, size, across, down, brightness in product(*FACTORS.values()):
        inside = np.maximum(abs(x - across), abs(y - down)) < size
        if shape:
            inside = np.hypot(x - across, y - down) < 1.13 * size  # a disc of the same area
        images.append(brightness * inside)
    factors = np.array(list(product(*(range(len(values)) for values in FACTORS.values()))))
    return np.array(images, np.uint8)[..., None], factors


def losses(vae: VAE, beta: float, dataset_size: int) -> Iterator[tuple[str, Loss]]:
    """The losses that are compared, by name."""
    yield "VAE", elbo_loss(vae)
    yield f"beta-VAE, {beta:g}", elbo_loss(vae, beta=beta)
    yield f"beta-TCVAE, {beta:g}", total_correlation_loss(vae, beta=beta, dataset_size=dataset_size)


def train(config: Config, vae: VAE, loss: Loss, images: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """The posterior means [N, Z] of all images after training, and the mean negative ELBO of the last steps."""
    update = minimize(loss, optax.adam(config.learning_rate), wrt=("encoder", "decoder"))
    key, root = jax.random.split(jax.random.key(seed))
    state = init_state(update, vae.init(key, ImageSpec(*images.shape[1:])), root)
    program = jax.jit(scan_steps(make_step(update)), donate_argnums=0)
    metrics = {}
    for start in range(0, config.steps, DISPATCH):
        chosen = batch_indices(seed, start * config.batch_size, DISPATCH * config.batch_size, len(images))
        batches = images[chosen].reshape(DISPATCH, config.batch_size, *images.shape[1:])
        state, metrics = program(state, {"image": batches})
    encode = jax.jit(lambda networks: vae.posterior.mean(vae.encode(networks, {"image": images}, train=False)[0]))
    total, count = jax.device_get(metrics["negative_elbo"])
    return np.asarray(encode(state.networks)), float(np.sum(total) / np.sum(count))


def main() -> None:
    """Measures as the command line says."""
    config = tyro.cli(Config)
    require_bounds(config)
    if not config.out.parent.is_dir():
        raise InputError(f"--out {config.out} cannot be written: {config.out.parent} is not a folder.")
    images, factors = made_images()
    spec = ImageSpec(SIDE, SIDE, 1)
    vae = VAE(MLPEncoder(config.latent_size), MLPDecoder(spec), bernoulli(), config.latent_size)
    say(f"{len(images):,} images of {', '.join(FACTORS)}")
    table = Table("loss", "mutual information gap", "least and most", "-ELBO, nats", title=f"{config.seeds} seeds each")
    rows = {}
    for name, loss in losses(vae, config.beta, len(images)):
        trained = [train(config, vae, loss, images, config.seed + number) for number in range(config.seeds)]
        gaps = [mutual_information_gap(means, factors) for means, _ in trained]
        bounds = [bound for _, bound in trained]
        rows[name] = {"mutual_information_gap": gaps, "negative_elbo": bounds}
        say("  ".join([name, *(f"{gap:.3f}" for gap in gaps)]))
        table.add_row(name, f"{np.mean(gaps):.3f}", f"{min(gaps):.3f}, {max(gaps):.3f}", f"{np.mean(bounds):.1f}")
    say(table)
    write_whole(config.out, json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    command(main)
