"""The cost of the watchdog: its checks of the state, the metrics and the images of the main experiment.

python experiments/benchmarks/watchdog_cost.py --help
"""

import runpy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import jax
import numpy as np
import tyro

from jaxgen import ImageSpec, make_mesh, make_step
from jaxgen.core.parallel import by_jit
from jaxgen.data import make_dataset
from jaxgen.io.terminal import say
from jaxgen.training import Count, command, first_state, require_bounds
from jaxgen.training.dispatch import feed_from, float_arrays, has_diverged, many_steps
from jaxgen.training.watchdog import Signs, Watched, diagnose, diversity, observe

MAIN_JOB = Path(__file__).parents[1] / "gan_mnist.py"
IMAGES = 1_000
GRID = 64


@dataclass(frozen=True)
class Config:
    """Time the watchdog on gan_mnist.py at its defaults."""

    rounds: Count = 20
    """Dispatches that are timed."""


def seconds(task: Callable[[], object]) -> float:
    """Seconds that a task takes."""
    began = time.perf_counter()
    jax.block_until_ready(task())
    return time.perf_counter() - began


def main() -> None:
    """Measures as the command line says."""
    options = tyro.cli(Config)
    require_bounds(options)
    main_job = runpy.run_path(str(MAIN_JOB))
    config, rng, one = main_job["Config"](), np.random.default_rng(0), by_jit(make_mesh(jax.devices()[:1]))
    recipe = main_job["build"](config, ImageSpec(28, 28, 1))
    images = rng.integers(0, 256, (IMAGES, 28, 28, 1), np.uint8)
    noise = make_dataset(images, None, source="noise", split="train")
    feed = feed_from(noise, seed=0, batch_size=config.batch_size)
    program = one.compile(many_steps(make_step(recipe.update), feed.select))
    chosen = one.put_sharded(rng.integers(0, IMAGES, (config.log_every, config.batch_size)).astype(np.int32))
    data, state = one.put_rows(feed.shared), one.put_state(first_state(config, recipe))
    check = jax.jit(lambda state: [has_diverged(*array) for array in float_arrays(state).items()])
    times, checks = [], []
    for _ in range(options.rounds + 1):

        def train():
            nonlocal state
            state, measured = program(state, data, chosen, np.int32(config.log_every))
            return state, measured

        times.append(seconds(train))
        checks.append(seconds(lambda: check(state)))
    dispatch, state_check = median(times[1:]), median(checks[1:])
    watched = Watched(recipe.update.losses, recipe.discriminators)
    row = {f"metric {n}": 1.0 for n in range(20)} | dict.fromkeys(watched.losses + watched.discriminators, 1.0)
    row["step"] = 50
    rows = median(seconds(lambda: diagnose(observe(Signs(), row, watched))) for _ in range(99))
    images_check = median(seconds(lambda: diversity(images[:GRID])) for _ in range(9))
    per_dispatch = state_check + rows + images_check * config.log_every / config.sample_every
    say(f"{config.log_every} steps, one dispatch: {1e3 * dispatch:.1f} ms")
    say(f"check of the state: {1e3 * state_check:.2f} ms; of a row of metrics: {1e3 * rows:.3f} ms")
    say(f"of {GRID} drawn images, each {config.sample_every:,} steps: {1e3 * images_check:.2f} ms")
    say(f"total {per_dispatch / dispatch:.2%} of the time of training")


if __name__ == "__main__":
    command(main)
