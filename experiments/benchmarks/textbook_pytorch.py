"""The textbook DCGAN in PyTorch, to compare with.  python experiments/benchmarks/textbook_pytorch.py --out samples.npz

Radford et al. (2016) at 28x28x1: width 64, BatchNorm in both networks, N(0, 0.02) initialisation, Adam 2e-4 with
beta1 0.5, batch 64.  Needs the extra `bench`.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import nn

from jaxgen.command import command
from jaxgen.config import Count, Positive, Seed, require_bounds
from jaxgen.data import batch_indices, load
from jaxgen.report import save_archive

WIDTH, LATENT, BATCH = 64, 100, 64


@dataclass(frozen=True)
class Options:
    """Train the textbook DCGAN with PyTorch for some minutes, and draw from it."""

    out: Path
    """An .npz for the samples."""
    data_dir: Path | None = None
    """The folder of full MNIST."""
    minutes: Positive = 4.75
    """How long to train; 4.75 leaves a five-minute run its start and end."""
    num: Count = 10_000
    """How many images to draw."""
    seed: Seed = 0
    """Seed of everything random."""


def networks() -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(LATENT, 2 * WIDTH, 7, bias=False),
        nn.BatchNorm2d(2 * WIDTH),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * WIDTH, WIDTH, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(),
        nn.ConvTranspose2d(WIDTH, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, WIDTH, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(WIDTH, 2 * WIDTH, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * WIDTH),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * WIDTH, 1, 7, bias=False),
        nn.Flatten(0),
    )
    for module in (*generator.modules(), *discriminator.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return generator, discriminator


def train(image: np.ndarray, options: Options) -> tuple[nn.Module, int]:
    """The trained generator, and how many steps it took."""
    generator, discriminator = networks()
    adams = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in (generator, discriminator)]
    real = torch.from_numpy(image).permute(0, 3, 1, 2).float() / 127.5 - 1
    entropy, one, zero = nn.BCEWithLogitsLoss(), torch.ones(BATCH), torch.zeros(BATCH)
    began, step = time.monotonic(), 0
    while time.monotonic() - began < 60 * options.minutes:
        batch = real[batch_indices(options.seed, step, BATCH, len(real))].contiguous(memory_format=torch.channels_last)
        fake = generator(torch.randn(BATCH, LATENT, 1, 1))
        adams[1].zero_grad()
        (entropy(discriminator(batch), one) + entropy(discriminator(fake.detach()), zero)).backward()
        adams[1].step()
        adams[0].zero_grad()
        entropy(discriminator(fake), one).backward()
        adams[0].step()
        step += 1
    return generator, step


def main() -> None:
    """Trains and draws as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    torch.manual_seed(options.seed)
    image = load("mnist", data_dir=options.data_dir).arrays["image"]
    generator, steps = train(image, options)
    generator.eval()
    with torch.no_grad():
        drawn = [generator(torch.randn(500, LATENT, 1, 1)) for _ in range(0, options.num, 500)]
    images = ((torch.cat(drawn)[: options.num].permute(0, 2, 3, 1) + 1) * 127.5).round().clip(0, 255)
    save_archive(options.out, images.to(torch.uint8).numpy())
    print(f"{steps:,} steps in {options.minutes} minutes; {options.num:,} images in {options.out}")


if __name__ == "__main__":
    command(main)
