"""Time of a VAE's training step, relative to pythae.  python experiments/benchmarks/vae_step.py --help

Both have the same networks, batch, loss and optimiser, and take turns in one run on the same cores; the medians are
compared.  Needs the extra `bench`.
"""

import json
import statistics
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import optax
import torch
import tyro
from pythae import models as pythae
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from rich.table import Table
from step_time import Turn, take_turns
from torch import nn

from jaxgen import ImageSpec, init_state, make_mesh, make_step, minimize
from jaxgen.core.parallel import by_jit
from jaxgen.core.rows import take_rows
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import say
from jaxgen.losses import bernoulli
from jaxgen.models import VAE, elbo_loss
from jaxgen.nets import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from jaxgen.training import Bounds, Count, UserPath, command, require_bounds
from jaxgen.training.dispatch import many_steps

SPEC, LATENTS, IMAGES, RATE = ImageSpec(28, 28, 1), 50, 1_024, 1e-3


@dataclass(frozen=True)
class Options:
    """Time a VAE's training step in jaxgen and in pythae."""

    out: UserPath = Path("runs/vae_step.json")
    """The results as JSON."""
    batch_size: Count = 100
    """Images per step."""
    rounds: Count = 7
    """Turns of each, of which the median counts."""
    seconds: Annotated[float, Bounds(above=0)] = 2.0
    """Approximate seconds of a turn."""
    scan: Count = 20
    """Steps in one dispatch of jaxgen."""


class Encoder(BaseEncoder):
    """An encoder to the mean and the log variance."""

    def __init__(self, features: nn.Module, size: int) -> None:
        super().__init__()
        self.features, self.mean, self.log_variance = features, nn.Linear(size, LATENTS), nn.Linear(size, LATENTS)

    def forward(self, x: Any) -> ModelOutput:
        features = self.features(x)
        return ModelOutput(embedding=self.mean(features), log_covariance=self.log_variance(features))


class Decoder(BaseDecoder):
    """Probabilities of white."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, z: Any) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)).reshape(-1, 1, *SPEC[:2]))


def convolution(channels: int, features: int) -> list[nn.Module]:
    """Convolution, BatchNorm, ReLU."""
    return [nn.Conv2d(channels, features, 3, padding=1, bias=False), nn.BatchNorm2d(features), nn.ReLU()]


def networks(name: str) -> tuple[VAE, pythae.VAE]:
    """Ours and pythae's, with the same layers."""
    if name == "MLP, 200-200":
        ours = VAE(MLPEncoder(LATENTS), MLPDecoder(SPEC), bernoulli(), LATENTS)
        encoder = [nn.Flatten(), nn.Linear(784, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh()]
        decoder = [nn.Linear(LATENTS, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh(), nn.Linear(200, 784)]
        size = 200
    else:
        ours = VAE(ConvEncoder(LATENTS), ConvDecoder(SPEC), bernoulli(), LATENTS)
        encoder = [*convolution(1, 32), nn.MaxPool2d(2), *convolution(32, 64), nn.MaxPool2d(2), nn.Flatten()]
        decoder = [nn.Linear(LATENTS, 64 * 49), nn.Unflatten(1, (64, 7, 7)), nn.Upsample(scale_factor=2)]
        decoder += [*convolution(64, 64), nn.Upsample(scale_factor=2), *convolution(64, 32)]
        decoder += [nn.Conv2d(32, 1, 3, padding=1)]
        size = 64 * 49
    config = pythae.VAEConfig(input_dim=(1, *SPEC[:2]), latent_dim=LATENTS, reconstruction_loss="bce")
    return ours, pythae.VAE(config, Encoder(nn.Sequential(*encoder), size), Decoder(nn.Sequential(*decoder)))


def jaxgen_turn(vae: VAE, images: np.ndarray, options: Options) -> tuple[Turn, int]:
    """As jaxgen trains: the data on the device, `scan` steps per dispatch; and the number of parameters."""
    update = minimize(elbo_loss(vae), optax.adam(RATE), wrt=("encoder", "decoder"))
    variables = vae.init(jax.random.key(0), ImageSpec(*images.shape[1:]))
    size = sum(leaf.size for network in variables.values() for leaf in jax.tree.leaves(network["params"]))
    one = by_jit(make_mesh(jax.devices()[:1]))

    def select(data: Any, index: Any) -> dict[str, Any]:
        return {"image": take_rows(data["image"], index, images.shape[1:])}

    run = one.compile(many_steps(make_step(update), select))
    state, data = one.put_state(init_state(update, variables, jax.random.key(1))), one.put_rows({"image": images})
    indices = np.random.default_rng(1).integers(0, IMAGES, (options.scan, options.batch_size)).astype(np.int32)

    def turn(calls: int) -> None:
        nonlocal state
        for _ in range(calls):
            state, _ = run(state, data, one.put_sharded(indices), np.int32(options.scan))
        jax.block_until_ready(state)

    return Turn(turn, options.scan), size


def pythae_turn(vae: pythae.VAE, images: np.ndarray, options: Options) -> tuple[Turn, int]:
    """A step of pythae's trainer, with the batch in memory as float32; and the number of parameters."""
    batch = {"data": torch.from_numpy(images[: options.batch_size] / np.float32(255)).permute(0, 3, 1, 2).contiguous()}
    adam = torch.optim.Adam(vae.parameters(), lr=RATE)

    def turn(calls: int) -> None:
        for _ in range(calls):
            adam.zero_grad()
            loss = vae(batch).loss
            loss.backward()
            adam.step()
            loss.item()

    return Turn(turn), sum(parameter.numel() for parameter in vae.parameters())


def main() -> None:
    """Measures as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    warnings.simplefilter("ignore")  # of the other library
    images = np.random.default_rng(0).integers(0, 2, (IMAGES, *SPEC)).astype(np.uint8) * np.uint8(255)
    table, results = Table("network", "parameters", "jaxgen", "pythae", "ratio"), {}
    for name in ("MLP, 200-200", "convolutions, 32-64"):
        ours, theirs = networks(name)
        (mine, size), (other, same) = jaxgen_turn(ours, images, options), pythae_turn(theirs, images, options)
        if size != same:
            raise AssertionError(f"{name}: {size:,} parameters and {same:,}.")
        seconds = take_turns({"jaxgen": mine, "pythae": other}, options)  # pyright: ignore[reportArgumentType]
        median = {who: statistics.median(times) for who, times in seconds.items()}
        results[name] = {**median, "ratio": median["jaxgen"] / median["pythae"]}
        times = (f"{1e3 * median[who]:.2f} ms" for who in ("jaxgen", "pythae"))
        table.add_row(name, f"{size:,}", *times, f"{results[name]['ratio']:.2f}")
    say(table)
    write_whole(options.out, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    command(main)
