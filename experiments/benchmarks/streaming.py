"""Memory of a data set that is streamed from disk.  python experiments/benchmarks/streaming.py --help

One epoch in shuffled batches is read from disk and not used: images per second, and the memory of the process on the
way, which should stay constant.  Then a step that takes a quarter longer than reading its batch asks for one after
another: how often it waits, and how much longer that takes.  The images are noise, made as PNG files in ten classes, or
those of --data.
"""

import json
import os
import platform
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image
from rich.table import Table

from jaxgen import InputError
from jaxgen.data import StreamedDataset, batch_indices, load, stream_batches
from jaxgen.io.files import write_whole
from jaxgen.io.system import peak_memory_gib
from jaxgen.io.terminal import say
from jaxgen.training import Count, UserPath, command, require_bounds

SIDE, CLASSES, QUARTERS = 32, 10, 4
SLOWER, STALL, STEPS = 1.25, 1e-3, 400
"""The time of a step relative to that of reading its batch, the seconds of waiting that count, and the steps."""
STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Options:
    """Stream one epoch from disk, and measure the memory."""

    out: UserPath = Path("runs/streaming.json")
    """The results as JSON."""
    images: Count = 200_000
    """Number of images to make."""
    folder: UserPath | None = None
    """An empty folder to make them in, and to keep them; a temporary one if not given."""
    data: str | None = None
    """Stream this instead: a folder of images, or the training split of a set that TFDS has prepared."""
    data_dir: UserPath | None = None
    """The folder of the prepared set."""
    batch_size: Count = 64
    """Images per batch."""


def make_images(folder: Path, num: int) -> None:
    """Images of noise."""
    for label in range(CLASSES):
        (folder / str(label)).mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(num):
        image = Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
        image.save(folder / str(number % CLASSES) / f"{number:08}.png")


def open_data(options: Options, stack: ExitStack) -> StreamedDataset:
    """The data set that the options name, however small.

    Raises:
      InputError: --folder is not empty, or --data cannot be streamed.
    """
    name = options.data
    if name is None:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"--folder {folder} is not an empty folder; to stream the images in it give --data.")
        say(f"Making {options.images:,} images in {folder}")
        make_images(folder, options.images)
        name = str(folder)
    dataset = load(name, data_dir=options.data_dir, offline=True, announce=say, most_bytes=0)
    if not isinstance(dataset, StreamedDataset):
        raise InputError(f"--data {name} is read into memory; expected a folder of images, or a set prepared by TFDS.")
    return dataset


def resident() -> float:
    """Megabytes that the process occupies now."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak() -> float:
    """Megabytes that the process has occupied at most."""
    return peak_memory_gib() * 2**30 / 1e6


def stream(dataset: StreamedDataset, batch_size: int) -> dict[str, Any]:
    """Streams one epoch: images per second, and the memory on the way."""
    steps = dataset.size // batch_size
    if steps < QUARTERS:
        raise InputError(f"--batch-size {batch_size}: {dataset.size} images make {steps} batches; expected 4 or more.")
    marks = {steps * quarter // QUARTERS: f"{quarter / QUARTERS:.0%}" for quarter in range(1, QUARTERS + 1)}
    indices = partial(batch_indices, 0, batch_size=batch_size, num_examples=dataset.size)
    batches = stream_batches(dataset, indices, start=0, stop=steps)
    next(batches)  # imports Grain and starts the threads
    megabytes, began = {"start": resident()}, time.perf_counter()
    for step, _ in enumerate(batches, start=2):
        if step in marks:
            megabytes[marks[step]] = resident()
    seconds = time.perf_counter() - began
    return {
        "images": steps * batch_size,
        "images_per_second": (steps - 1) * batch_size / seconds,
        "megabytes": {**megabytes, "peak": peak()},
    }


def stalls(dataset: StreamedDataset, batch_size: int, images_per_second: float) -> dict[str, float]:
    """How many of the steps waited for their batch, and their time relative to that with all batches in memory."""
    step_seconds = SLOWER * batch_size / images_per_second
    indices = partial(batch_indices, 1, batch_size=batch_size, num_examples=dataset.size)
    batches = stream_batches(dataset, indices, start=0, stop=STEPS + 1)
    next(batches)
    waits, began = [], time.perf_counter()
    for _ in range(STEPS):
        asked = time.perf_counter()
        next(batches)
        waits.append(time.perf_counter() - asked)
        time.sleep(step_seconds)
    slept = time.perf_counter() - began - sum(waits)  # sleeping takes a little longer than it should
    return {"steps": STEPS, "stalls": sum(wait > STALL for wait in waits), "relative_time": 1 + sum(waits) / slept}


def main() -> None:
    """Measures as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    if not STATM.exists():
        raise InputError(f"{STATM} is missing: the memory of a process is known on Linux only.")
    with ExitStack() as stack:
        dataset = open_data(options, stack)
        result = {**stream(dataset, options.batch_size), "all_megabytes": dataset.num_bytes / 1e6}
        waiting = stalls(dataset, options.batch_size, result["images_per_second"])
    table = Table("", dataset.source)
    table.add_row("images streamed", f"{result['images']:,}")
    table.add_row("images/s", f"{result['images_per_second']:,.0f}")
    table.add_row("MB of all images", f"{result['all_megabytes']:,.0f}")
    for mark, megabytes in result["megabytes"].items():
        table.add_row(f"MB in memory, {mark}", f"{megabytes:,.0f}")
    table.add_row(f"of {waiting['steps']:,} slower steps, stalled", f"{waiting['stalls']:,}")
    table.add_row("time relative to memory", f"{waiting['relative_time']:.3f}")
    say(table)
    record = {
        "data": {"source": dataset.source, "image": list(dataset.spec), "batch": options.batch_size},
        "cores": len(os.sched_getaffinity(0)),
        "versions": {"grain": version("grain"), "pillow": version("pillow"), "python": platform.python_version()},
        **result,
        "training": waiting,
    }
    write_whole(options.out, json.dumps(record, indent=2) + "\n")
    say(f"{options.out}")


if __name__ == "__main__":
    command(main)
