"""Quality against training time.  python experiments/benchmarks/time_to_quality.py --data-dir DIR

Three recipes train one after another on the same cores: gan_mnist.py, the textbook DCGAN in jaxgen, and the textbook
DCGAN in PyTorch.  Training time includes initialisation and compilation, and leaves out the drawing of the digits that
are evaluated.  Features are those of the packaged digit classifier.  Needs the extra `bench`.
"""

import json
import runpy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import textbook
import torch
import tyro

from jaxgen import ImageSpec, make_mesh, make_step
from jaxgen.core.parallel import by_jit
from jaxgen.data import Dataset, batch_indices, load
from jaxgen.evaluation import count_classes, digit_network, frechet_distance
from jaxgen.export import save_grid, seeded
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import say
from jaxgen.training import Count, Positive, Recipe, RunConfig, Seed, UserPath, command, first_state, require_bounds
from jaxgen.training.dispatch import feed_from, train

MAIN_JOB = Path(__file__).parents[1] / "gan_mnist.py"
TEXTBOOK_BATCH, DRAW = 64, 500


@dataclass(frozen=True)
class Options:
    """Plot quality against training time: gan_mnist.py, and the textbook DCGAN in jaxgen and in PyTorch."""

    out: UserPath = Path("runs/time_to_quality")
    """Folder for results, pictures and plot."""
    data_dir: UserPath | None = None
    """The folder of full MNIST."""
    minutes: tuple[Positive, ...] = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
    """Minutes of training after which digits are drawn, in ascending order."""
    num: Count = 10_000
    """Number of digits to draw each time."""
    seed: Seed = 0
    """Seed of all random numbers."""


@dataclass
class Clock:
    """Seconds of training, without those of drawing images."""

    began: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self.began

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stops the clock inside the context."""
        paused = time.monotonic()
        yield
        self.began += time.monotonic() - paused


Moment = tuple[float, int, np.ndarray]
"""Seconds, steps, and images uint8 [N, H, W, C] that were drawn at that moment."""


def jaxgen_run(recipe: Recipe, config: RunConfig, dataset: Dataset, options: Options, clock: Clock) -> Iterator[Moment]:
    """Trains a recipe in jaxgen."""
    marks, strategy = list(options.minutes), by_jit(make_mesh())
    draw = jax.jit(lambda networks, index: seeded(recipe.sampler, networks)(jnp.uint32(options.seed), index))

    def images(networks: Any) -> np.ndarray:
        indices = np.arange(options.num, dtype=np.int32)
        return np.concatenate([draw(networks, indices[at : at + DRAW]) for at in range(0, options.num, DRAW)])

    feed = feed_from(dataset, seed=options.seed, batch_size=config.batch_size)
    state = strategy.put_state(first_state(config, recipe))
    for progress in train(make_step(recipe.update), state, feed, strategy, steps=10**9):
        if clock.now() >= 60 * marks[0]:
            jax.block_until_ready(progress.state)
            with clock.stopped():
                yield clock.now(), progress.step, images(progress.state.networks)
            marks.pop(0)
        if not marks:
            return


def textbook_recipe(spec: ImageSpec) -> Recipe:
    """The textbook DCGAN in jaxgen."""
    gan = textbook.jaxgen_gan(spec)
    update = textbook.jaxgen_update(gan, optax.adam(textbook.LEARNING_RATE, b1=textbook.BETA1))
    return Recipe(networks=partial(gan.init, spec=spec), update=update, sampler=gan.sampler())


def torch_run(dataset: Dataset, options: Options, clock: Clock) -> Iterator[Moment]:
    """Trains the textbook DCGAN in PyTorch."""
    torch.manual_seed(options.seed)
    device = textbook.torch_device()
    gan, marks, number = textbook.torch_gan(dataset.spec, device), list(options.minutes), 0
    step = textbook.torch_step(gan, textbook.torch_adam)
    real = torch.from_numpy(dataset.arrays["image"]).permute(0, 3, 1, 2).float().to(device) / 127.5 - 1

    def images() -> np.ndarray:
        gan.generator.eval()
        with torch.no_grad():
            drawn = [
                gan.generator(torch.randn(DRAW, textbook.LATENT, 1, 1, device=device))
                for _ in range(0, options.num, DRAW)
            ]
        gan.generator.train()
        drawn = torch.cat(drawn)[: options.num].permute(0, 2, 3, 1)
        return ((drawn + 1) * 127.5).round().clip(0, 255).to(torch.uint8).cpu().numpy()

    while marks:
        batch = real[batch_indices(options.seed, number, TEXTBOOK_BATCH, dataset.size)]
        latent = torch.randn(TEXTBOOK_BATCH, textbook.LATENT, 1, 1, device=device)
        step(batch.contiguous(memory_format=torch.channels_last), latent)
        number += 1
        if clock.now() >= 60 * marks[0]:
            with clock.stopped():
                yield clock.now(), number, images()
            marks.pop(0)


def plot(path: Path, curves: dict[str, list[dict[str, float]]], floor: float) -> None:
    """Writes a PNG of the curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for name, points in curves.items():
        axis.plot([p["minutes"] for p in points], [p["frechet"] for p in points], "o-", label=name)
    axis.axhline(floor, color="grey", linestyle=":", label="training digits")
    axis.set(xlabel="minutes of training", ylabel="Fréchet distance to the test digits", yscale="log")
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    write_whole(path, lambda file: figure.savefig(file, format="png"))


def main() -> None:
    """Trains, draws and evaluates as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    training, test = (load("mnist", split=split, data_dir=options.data_dir) for split in ("train", "test"))
    extract = digit_network().extract
    reference = extract(test.arrays["image"]).features
    floor = frechet_distance(extract(training.arrays["image"][: options.num]).features, reference)
    main_job = runpy.run_path(str(MAIN_JOB))
    config = main_job["Config"](seed=options.seed)
    small = RunConfig(batch_size=TEXTBOOK_BATCH, seed=options.seed)
    spec = training.spec
    runs: dict[str, Callable[[Clock], Iterator[Moment]]] = {
        "jaxgen, gan_mnist.py": lambda c: jaxgen_run(main_job["build"](config, spec), config, training, options, c),
        "jaxgen, the textbook recipe": lambda c: jaxgen_run(textbook_recipe(spec), small, training, options, c),
        "PyTorch, the textbook recipe": lambda c: torch_run(training, options, c),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for place, (name, begin) in enumerate(runs.items()):
        for seconds, steps, images in begin(Clock()):
            extracted = extract(images)
            assert extracted.probabilities is not None
            rarest = count_classes(extracted.probabilities).rarest
            distance = frechet_distance(extracted.features, reference)
            curves[name].append({"minutes": seconds / 60, "steps": steps, "frechet": distance, "rarest": rarest})
            say(f"{name}: {json.dumps(curves[name][-1])}")
            save_grid(options.out / f"{place}_{steps:07}.png", images[:64])
    write_whole(options.out / "curves.json", json.dumps({"floor": floor, "curves": curves}, indent=2) + "\n")
    plot(options.out / "time_to_quality.png", curves, floor)


if __name__ == "__main__":
    command(main)
