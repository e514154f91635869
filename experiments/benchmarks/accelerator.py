"""All that a GPU or a TPU can show, by one command.  python experiments/benchmarks/accelerator.py

    steps      seconds of a training step of five experiments, in float32 and bfloat16, with 1, 10 and 100 per dispatch
    peer       the textbook DCGAN beside PyTorch's, if PyTorch is installed
    drawing    images drawn and compared per second
    bits       whether three runs, and one that was resumed, end in the same state to the bit
    agreement  how far similarities and features are from those of the CPU
    quality    gan_cifar10.py for the time that is left, and its Fréchet distance; each call trains on

Each part is written when it is measured.  A call ends after --minutes, and the same command goes on.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from lowering import Subject, read
from rich.table import Table
from timing import product_rate

from jaxgen import InputError, make_mesh, make_step
from jaxgen.core.parallel import by_jit
from jaxgen.core.tree import raw
from jaxgen.core.types import TrainState
from jaxgen.evaluation import packaged_network, structural_similarity
from jaxgen.export import ExportInfo, export_sampler, load_sampler
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import say
from jaxgen.training import Positive, UserPath, command, first_state, require_bounds
from jaxgen.training.dispatch import feed_from, train

EXPERIMENTS = ("gan_mnist --batch-size 256", "stylegan_mnist", "vae_mnist", "gan_cifar10", "vae_cifar10")
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
FOLDER = Path(__file__).parents[1]
QUALITY = "quality"
Results = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """Measure jaxgen on the accelerator of this machine."""

    out: UserPath = Path("runs/accelerator")
    """The folder of the results, accelerator.json and accelerator.md, and of the trained run."""
    minutes: Positive = 8.0
    """Minutes of this call; the same command goes on where it ended."""
    data_dir: UserPath | None = None
    """The folder of prepared CIFAR-10, without which the quality is not measured."""
    inception: UserPath | None = None
    """Weights of Inception-v3, in whose features the Fréchet distance is FID."""
    deterministic: bool = False
    """Set XLA's flag for deterministic operations on GPUs: compare the times of the steps with and without it."""
    small: bool = False
    """Tiny networks and few steps, to try the command itself."""


class Scale(NamedTuple):
    """How much is measured: `seconds` of a step's time, `steps` for the bits, `images` drawn."""

    experiments: tuple[str, ...] = EXPERIMENTS
    scans: tuple[int, ...] = (1, 10, 100)
    seconds: float = 3.0
    steps: int = 200
    images: int = 8_192


SMALL = Scale(("gan_mnist --width 2 --hidden 8 --latent-size 4 --batch-size 8",), (1, 2), 0.01, 4, 128)


def data_of(subject: Subject, num: int = 1_024) -> Subject:
    """The subject on random images."""
    rng, arrays = np.random.default_rng(0), {name: array[:num] for name, array in subject.dataset.arrays.items()}
    arrays["image"] = rng.integers(0, 256, (num, *subject.dataset.spec), np.uint8)
    return subject._replace(dataset=subject.dataset.__class__(arrays, "random images", "train", digest=""))


def trained(subject: Subject, state: TrainState, *, steps: int, scan: int, seconds: float = np.inf) -> Results:
    """The state after training, and its speed; ends after `steps`, or `seconds` after the third dispatch."""
    config, recipe, dataset = subject
    feed = feed_from(dataset, seed=0, batch_size=config.batch_size)
    strategy, began, times = by_jit(make_mesh(jax.devices()[:1])), time.monotonic(), []
    state = strategy.put_state(state)

    def stop() -> bool:
        return len(times) > 3 and time.monotonic() - times[2][1] > seconds

    for progress in train(make_step(recipe.update), state, feed, strategy, steps=steps, dispatch=scan, stop=stop):
        times += [(measured.step, measured.time) for measured in progress.measured]
        state = strategy.fetch(progress.state) if progress.step == steps else progress.state
    (first, start), (last, end) = times[min(2, len(times) - 1)], times[-1]
    return {"state": state, "first_dispatch": times[0][1] - began, "step": (end - start) / max(last - first, 1)}


def step_times(words: str, dtype: str, scale: Scale) -> Results:
    """Milliseconds per step, images per second, and the share of the rate of a large matrix product."""
    subject = data_of(read(words, dtype=jnp.dtype(dtype)))
    state, batch = first_state(subject.config, subject.recipe), subject.config.batch_size
    example = {name: jnp.asarray(array[:batch]) for name, array in subject.dataset.arrays.items()}
    cost: Any = jax.jit(make_step(subject.recipe.update)).lower(state, example).cost_analysis()
    rate, results = product_rate(dtype), {}
    for scan in scale.scans:
        found = trained(subject, state, steps=10**6 * scan, scan=scan, seconds=scale.seconds)
        results[f"{scan} per dispatch"] = {
            "ms": 1e3 * found["step"],
            "images/s": batch / found["step"],
            "of the product rate": cost["flops"] / found["step"] / rate,
            "first dispatch, s": found["first_dispatch"],
        }
    return results


def peer_times(options: Options) -> Results:
    """The benchmark step_time.py in both types, if PyTorch is there."""
    if options.small or find_spec("torch") is None:
        return {"left out": {"": "PyTorch is not installed" if not options.small else "--small"}}
    results: Results = {}
    for dtype in ("float32", "bfloat16"):
        out = options.out / f"step_time_{dtype}.json"
        program = FOLDER / "benchmarks" / "step_time.py"
        arguments = "--out", out, "--dtype", dtype, "--rounds", "5", "--seconds", "1", "--scan", "1", "10", "100"
        subprocess.run([sys.executable, program, *arguments], check=True)
        for result in json.loads(out.read_text())["results"]:
            results[f"{result['case']}, {dtype}: ratio to eager"] = result["ratio_to_eager"]
    return results


def drawing(scale: Scale, folder: Path) -> Results:
    """Images per second of an exported sampler, and of the network whose features are compared."""
    subject = read(scale.experiments[0])
    state, recipe, spec = first_state(subject.config, subject.recipe), subject.recipe, subject.dataset.spec
    export_sampler(recipe.sampler)(folder / "sampler", state.networks, ExportInfo(spec))
    sampler, network = load_sampler(folder / "sampler"), packaged_network(spec)
    images = sampler.draw(0, scale.images, fields={})
    network.extract(images)  # compiles

    def speed(function: Callable[[], Any]) -> dict[str, float]:
        began = time.monotonic()
        function()
        return {"images/s": scale.images / (time.monotonic() - began)}

    return {
        "drawn": speed(lambda: sampler.draw(1, scale.images, fields={})),
        "features": speed(lambda: network.extract(images)),
    }


def bits(scale: Scale) -> Results:
    """Whether runs end in the same bits."""
    subject = data_of(read(scale.experiments[0]))
    first, half = first_state(subject.config, subject.recipe), scale.steps // 2

    def digest(state: TrainState) -> str:
        leaves = jax.tree.leaves(jax.tree.map(lambda leaf: np.asarray(raw(leaf)).tobytes(), state))
        return sha256(b"".join(leaves)).hexdigest()

    def end(state: TrainState, steps: int) -> TrainState:
        return trained(subject, state, steps=steps, scan=max(1, half // 2))["state"]

    whole = [digest(end(first, scale.steps)) for _ in range(3)]
    resumed = digest(end(end(first, half), scale.steps))
    return {"equal": {"three runs": len(set(whole)) == 1, "a resumed run": resumed == whole[0]}}


def agreement(scale: Scale) -> Results:
    """The largest differences from the CPU: of similarities, and of features relative to the largest feature."""
    rng, spec = np.random.default_rng(0), read(scale.experiments[0]).dataset.spec
    first, second = (rng.integers(0, 256, (64, *spec), np.uint8) for _ in range(2))
    found = []
    for device in (jax.devices()[0], jax.local_devices(backend="cpu")[0]):
        with jax.default_device(device):
            similarity = np.asarray(structural_similarity(jnp.asarray(first), jnp.asarray(second)))
            found.append((similarity, packaged_network(spec).extract(first).features))
    (here, features), (there, expected) = found
    return {
        "difference": {
            "similarity": float(np.abs(here - there).max()),
            "features": float(np.abs(features - expected).max() / np.abs(expected).max()),
        }
    }


def quality(options: Options, minutes: float) -> Results:
    """CIFAR-10 by the SNGAN preset: steps, and the Fréchet distance."""
    run, arguments = options.out / "gan_cifar10", ["--max-minutes", "60" if options.small else str(minutes)]
    if options.small:
        np.savez(
            options.out / "random.npz", image=np.zeros((64, 32, 32, 3), np.uint8) + np.arange(64)[:, None, None, None]
        )
        arguments += ["--data", options.out / "random.npz", "--width", "2", "--steps", "2", "--batch-size", "4"]
    elif options.data_dir:
        arguments += ["--data-dir", options.data_dir]
    else:
        return {"left out": {"": "--data-dir names no prepared CIFAR-10"}}
    subprocess.run(
        [sys.executable, FOLDER / "gan_cifar10.py", "--out", run, "--offline", *map(str, arguments)], check=True
    )
    weights = ["--inception", options.inception] if options.inception else []
    few = ["--allow-few", "--num", "64"] if options.small else []
    evaluating = [sys.executable, "-m", "jaxgen", "evaluate", run, *weights, *few]
    subprocess.run(list(map(str, evaluating)), check=True)
    rows = (run / "metrics.jsonl").read_text().splitlines()
    measures = json.loads((run / "evaluation.json").read_text())["measures"]
    return {"gan_cifar10": {"steps": json.loads(rows[-1])["step"], **measures}}


def table_of(results: Results) -> Table:
    """All values, a row for each."""
    table = Table("", "", "", "")
    for part, rows in results.items():
        for row, values in rows.items():
            for name, value in values.items():
                number = value.get("value") if isinstance(value, dict) else value
                table.add_row(part, row, name, f"{number:,.4g}" if isinstance(number, float) else str(number))
    return table


def markdown_of(results: Results) -> str:
    """The rows of the table as Markdown."""
    table = table_of(results)
    rows = zip(*(list(column.cells) for column in table.columns), strict=True)
    return "".join(f"| {' | '.join(row)} |\n" for row in (("part", "", "", ""), ("---",) * 4, *rows))


def use_deterministic_operations() -> None:
    """Starts this program again with XLA's flag, which is read once."""
    flags = os.environ.get("XLA_FLAGS", "")
    if DETERMINISTIC not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}".strip()
        os.execv(sys.executable, [sys.executable, *sys.argv])


def parts_of(options: Options, minutes_left: Callable[[], float]) -> dict[str, Callable[[], Results]]:
    """What is measured, in order."""
    scale = SMALL if options.small else Scale()
    steps = {
        f"{words}, {dtype}": partial(step_times, words, dtype, scale)
        for words in scale.experiments
        for dtype in ("float32", "bfloat16")
    }
    if options.deterministic:
        return {f"{name}, deterministic": part for name, part in {**steps, "bits": partial(bits, scale)}.items()}
    return {
        **steps,
        "peer": partial(peer_times, options),
        "drawing": partial(drawing, scale, options.out),
        "bits": partial(bits, scale),
        "agreement with the CPU": partial(agreement, scale),
        QUALITY: lambda: quality(options, max(1.0, minutes_left())),
    }


def main() -> None:
    """Measures as the command line says."""
    options, began = tyro.cli(Options), time.monotonic()
    require_bounds(options)
    if options.deterministic:
        use_deterministic_operations()
    file = options.out / "accelerator.json"
    record = json.loads(file.read_text()) if file.is_file() else {"results": {}}
    device = jax.devices()[0].device_kind
    if record.setdefault("device", device) != device:
        raise InputError(
            f"--out {options.out} holds the results of another device, {record['device']}: choose another."
        )
    record["versions"] = {"jax": jax.__version__, "python": sys.version.split()[0]}

    def minutes_left() -> float:
        return options.minutes - (time.monotonic() - began) / 60

    for name, part in parts_of(options, minutes_left).items():
        if name in record["results"] and name != QUALITY:
            continue
        if minutes_left() <= 0:
            say("The time is up: the same command goes on.")
            break
        say(f"{name} ...")
        record["results"][name] = part()
        write_whole(file, json.dumps(record, indent=2, default=float) + "\n")
        write_whole(file.with_suffix(".md"), markdown_of(record["results"]))
    say(table_of(record["results"]))
    say(f"{file}, {file.with_suffix('.md')}")


if __name__ == "__main__":
    command(main)
