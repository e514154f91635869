"""Time to read pictures from disk at a smaller size.  python experiments/benchmarks/reading.py --help

JPEG files of 512x512 are made, and then read at --size by Pillow alone, with a process for each core, and by jaxgen,
at the first start and at the second one, which finds the array in the cache.  The readers take turns, so that what else
the machine does slows all of them.
"""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import tyro
from PIL import Image
from rich.table import Table

from jaxgen.data import load
from jaxgen.data.image_options import DRAFT, ImageOptions
from jaxgen.io.files import write_whole
from jaxgen.io.system import peak_memory_gib
from jaxgen.io.terminal import say
from jaxgen.training import Count, UserPath, command, require_bounds

SIDE, QUALITY, DETAIL = 512, 90, 64
"""Sides and quality of the JPEG files, and the side of the noise that they are enlarged from."""


@dataclass(frozen=True)
class Options:
    """Read JPEG files with Pillow alone and with jaxgen, and compare the times."""

    out: UserPath = Path("runs/reading.json")
    """The results as JSON."""
    images: Count = 10_000
    """Number of images to make."""
    size: Count = 64
    """The side in pixels that they are read at."""
    turns: Count = 3
    """How often each reader reads all images; the median time counts."""


def make_images(folder: Path, num: int) -> None:
    """Enlarged noise, which takes as many bytes as a photo."""
    random = np.random.default_rng(0)
    for number in range(num):
        noise = Image.fromarray(random.integers(0, 256, (DETAIL, DETAIL, 3), dtype=np.uint8))
        noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{number:06}.jpg", quality=QUALITY)


def read_with_pillow(size: int, path: Path) -> np.ndarray:
    """One image, decoded at the same scale and resized by the same filter."""
    with Image.open(path) as image:
        image.draft(None, (DRAFT * size, DRAFT * size))
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))


def pillow_alone(folder: Path, size: int, pool: ProcessPoolExecutor) -> np.ndarray:
    """All images, by a process for each core."""
    return np.stack(list(pool.map(partial(read_with_pillow, size), sorted(folder.iterdir()), chunksize=64)))


def seconds(read: Callable[[], object]) -> float:
    """The time that a call takes."""
    began = time.perf_counter()
    read()
    return time.perf_counter() - began


def measure(folder: Path, options: Options, cache: Path) -> dict[str, list[float]]:
    """The seconds of each reader at each turn."""
    os.environ["XDG_CACHE_HOME"] = str(cache)
    times: dict[str, list[float]] = {"Pillow alone": [], "first start": [], "second start": []}
    read = partial(load, str(folder), images=ImageOptions((options.size, options.size)), announce=lambda _: None)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        list(pool.map(abs, range(64)))  # starts the processes
        for _ in range(options.turns):
            times["Pillow alone"].append(seconds(partial(pillow_alone, folder, options.size, pool)))
            times["first start"].append(seconds(read))
            times["second start"].append(seconds(read))
            for kept in (cache / "jaxgen" / "images").glob("*"):
                kept.unlink()
    return times


def main() -> None:
    """Measures as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "images", Path(place) / "cache"
        folder.mkdir()
        say(f"Making {options.images:,} images of {SIDE}x{SIDE} in {folder}")
        make_images(folder, options.images)
        times = measure(folder, options, cache)
    table = Table(f"{options.images:,} JPEG files at {options.size}x{options.size}", "seconds", "images/s")
    for name, turns in times.items():
        table.add_row(name, f"{median(turns):.2f}", f"{options.images / median(turns):,.0f}")
    say(table)
    result = {
        "images": options.images,
        "size": options.size,
        "cores": os.cpu_count(),
        "seconds": times,
        "ratio": median(times["Pillow alone"]) / median(times["first start"]),
        "peak_memory_mb": peak_memory_gib() * 2**30 / 1e6,
        "versions": {"pillow": version("pillow"), "python": platform.python_version()},
    }
    write_whole(options.out, json.dumps(result, indent=2) + "\n")
    say(f"Images per second relative to Pillow alone: {result['ratio']:.2f}; {options.out}")


if __name__ == "__main__":
    command(main)
