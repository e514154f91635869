"""Time of the measures, relative to torchmetrics and prdc.  python experiments/benchmarks/evaluation.py --help

All take the same random features, one after another on the same cores; the values are compared too.  `--memory 50000`
measures instead the peak memory for so many images on each side.  Needs the extra `bench`.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any

import numpy as np
import tyro
from rich.table import Table

from jaxgen.evaluation import compare_manifolds, frechet_distance, kernel_distance
from jaxgen.io.system import peak_memory_gib
from jaxgen.io.terminal import say
from jaxgen.training import Bounds, Count, command, require_bounds

NEAREST = 5
SUBSET = 1_000
Task = Callable[[], float]


@dataclass(frozen=True)
class Options:
    """Measure the time of the measures, or their memory."""

    num: Count = 10_000
    """Images on each side."""
    size: Count = 2_048
    """Features of an image."""
    rounds: Count = 3
    """Repetitions of each, of which the median counts."""
    memory: Annotated[int, Bounds(least=0)] = 0
    """Measure the memory for so many images on each side instead of the time."""


def random_features(num: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features, the second a little wider."""
    random = np.random.default_rng(0)
    first, second = (random.standard_normal((num, size), np.float32) for _ in range(2))
    return first, second * np.float32(1.1)


def tasks(first: np.ndarray, second: np.ndarray) -> dict[str, tuple[Task, Task]]:
    """Ours and theirs by name; the values of both must agree."""
    import prdc
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    class Identity(torch.nn.Module):
        num_features = first.shape[1]

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.reshape(len(image), -1)

    def run(metric: Any) -> float:
        for features, is_real in ((first, True), (second, False)):
            for start in range(0, len(features), SUBSET):
                part = torch.from_numpy(features[start : start + SUBSET])
                metric.update(part.reshape(*part.shape, 1, 1), real=is_real)
        value = metric.compute()
        return float(value[0] if isinstance(value, tuple) else value)

    subsets = len(first) // SUBSET
    shape = (first.shape[1], 1, 1)
    return {
        "Fréchet distance": (
            lambda: frechet_distance(first, second, allow_few=True),
            lambda: run(FrechetInceptionDistance(Identity(), input_img_size=shape, normalize=True)),
        ),
        f"kernel distance, {subsets} subsets": (
            lambda: kernel_distance(first, second).value,
            lambda: run(KernelInceptionDistance(Identity(), subsets=subsets, subset_size=SUBSET, normalize=True)),
        ),
        "precision, recall, density, coverage": (
            lambda: compare_manifolds(first, second, k=NEAREST).density.value,
            lambda: float(prdc.compute_prdc(first, second, nearest_k=NEAREST)["density"]),
        ),
    }


def timed(task: Task) -> tuple[float, float]:
    """Seconds that a task takes, and its value."""
    began = time.perf_counter()
    value = task()
    return time.perf_counter() - began, value


def measure_memory(options: Options) -> None:
    """Prints the peak memory of this process after each measure."""
    first, second = random_features(options.memory, options.size)
    say(f"two sets of {options.memory:,} x {options.size:,} float32: {peak_memory_gib():.2f} GiB")
    frechet_distance(first, second, allow_few=True)
    say(f"after the Fréchet distance: {peak_memory_gib():.2f} GiB")
    kernel_distance(first, second)
    say(f"after the kernel distance: {peak_memory_gib():.2f} GiB")
    compare_manifolds(first, second)
    say(f"after precision, recall, density and coverage: {peak_memory_gib():.2f} GiB")


def main() -> None:
    """Measures as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    warnings.simplefilter("ignore")  # of the other implementations
    if options.memory:
        measure_memory(options)
        return
    table = Table("measure", "jaxgen", "theirs", "ratio", "values", title=f"{options.num:,} x {options.size:,}")
    for name, (ours, theirs) in tasks(*random_features(options.num, options.size)).items():
        ours()  # compiles
        turns = [(timed(ours), timed(theirs)) for _ in range(options.rounds)]
        mine, other = (median(turn[side][0] for turn in turns) for side in (0, 1))
        values = " ".join(f"{value:.5g}" for _, value in turns[-1])
        table.add_row(name, f"{mine:.2f} s", f"{other:.2f} s", f"{mine / other:.2f}", values)
    say(table)


if __name__ == "__main__":
    command(main)
