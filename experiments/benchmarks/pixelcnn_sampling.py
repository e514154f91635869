"""Time of PixelCNN sampling.  python experiments/benchmarks/pixelcnn_sampling.py --help

Draws digits from a gated PixelCNN pixel by pixel: incrementally, with cached activations, and naively, with the network
evaluated anew at each pixel.  Both take turns in one process; the images are compared.
"""

import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import tyro

from jaxgen import ImageSpec
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import say
from jaxgen.losses import bernoulli
from jaxgen.models import PixelCNN, draw_incrementally, draw_naively
from jaxgen.nets import GatedPixelCNN
from jaxgen.training import Count, Seed, UserPath, command, require_bounds

DRAWS = {"incremental": draw_incrementally, "naive": draw_naively}


@dataclass(frozen=True)
class Options:
    """Time incremental and naive sampling."""

    num: Count = 64
    """Images drawn at once."""
    side: Count = 28
    """Their height and width."""
    width: Count = 32
    """Channels of both stacks."""
    dilations: tuple[Count, ...] = (1, 2, 4, 8)
    """Dilations of the network's layers."""
    turns: Count = 3
    """Repetitions of each, of which the median counts."""
    seed: Seed = 0
    """Seed of weights and images."""
    out: UserPath = Path("pixelcnn_sampling.json")
    """The results as JSON."""


def main() -> None:
    """Measures as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    spec = ImageSpec(options.side, options.side, 1)
    model = PixelCNN(GatedPixelCNN(1, options.width, options.dilations), bernoulli(), spec)
    networks = model.init(jax.random.key(options.seed), spec)
    keys = jax.random.split(jax.random.key(options.seed + 1), options.num)
    samplers = {name: jax.jit(model._replace(draw=draw).sampler()) for name, draw in DRAWS.items()}
    images = {name: np.asarray(sampler(networks, keys)) for name, sampler in samplers.items()}  # and compiles
    seconds = {name: [] for name in samplers}
    for _ in range(options.turns):
        for name, sampler in samplers.items():
            began = time.perf_counter()
            jax.block_until_ready(sampler(networks, keys))
            seconds[name].append(time.perf_counter() - began)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    differing = int((images["incremental"] != images["naive"]).any((1, 2, 3)).sum())
    for name, times in seconds.items():
        say(f"{name}: {median[name]:.2f} s (from {min(times):.2f} to {max(times):.2f})")
    ratio = median["naive"] / median["incremental"]
    say(f"{ratio:.1f} times as fast; {differing} of {options.num} images differ")
    results = {**{f"{name}_seconds": median[name] for name in median}, "ratio": ratio, "differing": differing}
    write_whole(options.out, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    command(main)
