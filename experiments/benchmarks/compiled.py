"""The compiler's view: what the program that trains a recipe costs, without a TPU and without training.

python experiments/benchmarks/compiled.py gan_mnist "gan_cifar10 --preset r3gan" --out costs.json

The program that training runs for each dispatch is lowered from shapes alone and compiled for a TPU that need not be
there.  Compiling for TPUs needs libtpu: pip install 'jax[tpu]' into an environment of its own.  A step that does more
now and then, such as a lazy penalty, is counted with its share: of the cycles, the bytes and the kernels, not of the
operations.  The cycles are the compiler's estimate, without waits for memory and network.
"""

# Before JAX is imported: a TPU is compiled for, never asked for.
import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")

import importlib.metadata
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import hlo
import lowering
import tyro
from compiler import CHIPS, Chip, Compiled, compile_lowered, find_devices
from rich.table import Column, Table

from jaxgen import InputError
from jaxgen.core.parallel import Device
from jaxgen.io.errors import refuse_damage
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import say
from jaxgen.training import Count, UserPath, command, require_bounds

MEGA = 1e6
NAMED = ("recipe", "program", "device", "devices", "parallel", "batch")
"""What two rows have in common that can be compared."""


@dataclass(frozen=True)
class Config:
    """Compile the training step of recipes and count what it costs."""

    recipes: tyro.conf.Positional[tuple[str, ...]] = ()
    """Experiments, each with its options in quotes: gan_mnist "gan_cifar10 --preset r3gan"."""
    platform: Literal["tpu", "cpu"] = "tpu"
    """The compiler.  The CPU's says nothing of cycles; its devices are simulated."""
    topology: str | None = None
    """The TPUs: by default v5e:2x2; v4:2x2x1, v5p:2x2x1, v6e:2x2, and larger ones."""
    devices: Count = 1
    """How many of them the program runs on."""
    batch_size: Count | None = None
    """Images per step, over all devices, or per call of the sampler; by default the recipe's."""
    parallel: Literal["jit", "pmap", "fsdp"] | None = None
    """How the devices share the work; by default as the recipe says."""
    sampler: bool = False
    """Compile the sampler in place of the training step."""
    out: UserPath | None = None
    """The rows as JSON, written after each recipe."""
    against: UserPath | None = None
    """Rows that --out wrote earlier: print the ratio to them too."""


def measure(words: str, config: Config, devices: list[Device]) -> dict[str, Any]:
    """The row of a recipe."""
    given = {"batch_size": config.batch_size, "parallel": config.parallel}
    subject = lowering.read(words, **{name: value for name, value in given.items() if value is not None})
    lower = lowering.lower_sampler if config.sampler else lowering.lower_training
    compiled = compile_lowered(lower(subject, devices))
    named = {
        "recipe": words,
        "program": "sampler" if config.sampler else "step",
        "device": devices[0].device_kind,
        "devices": len(devices),
        "parallel": subject.config.parallel,
        "batch": subject.config.batch_size,
    }
    cost = costs(compiled, 1.0 if config.sampler else lowering.share_of_rare_steps(subject))
    chip, steps = CHIPS.get(devices[0].device_kind), subject.config.log_every
    return named | cost | rates(cost, chip, subject.config.batch_size, steps)


def costs(compiled: Compiled, often: float) -> dict[str, Any]:
    """What a program costs: a step of a dispatch, or the whole program where it has no steps."""
    program = compiled.program
    step = hlo.step_loop(program)
    mean, least, most = (hlo.cost(program, share, step) for share in (often, 0.0, 1.0))
    whole = hlo.cost(program, often)
    return {
        "seconds_to_compile": compiled.seconds,
        "gigaflop": None if hlo.has_inner_loops(program) else compiled.flops / 1e9,
        "megabytes": mean.hbm_bytes / MEGA,
        "argument_megabytes": compiled.arguments / MEGA,
        "temporary_megabytes": compiled.temporaries / MEGA,
        "kernels": most.kernels,
        "cycles": mean.cycles if program.has_cycles else None,
        "cycles_least": least.cycles if program.has_cycles else None,
        "cycles_most": most.cycles if program.has_cycles else None,
        "cycles_per_dispatch": whole.cycles - mean.cycles if program.has_cycles and step else None,
        "matrix_share": mean.matrix_cycles / mean.cycles if mean.cycles else None,
        "share_of_rare_steps": often,
        "collectives": {
            kind: {"count": count, "megabytes": size / MEGA} for kind, (count, size) in most.collectives.items()
        },
    }


def rates(cost: Mapping[str, Any], chip: Chip | None, batch: int, steps: int) -> dict[str, Any]:
    """Images per second: at most, by peak operations and bandwidth; and by the estimated cycles.

    `cost` is of a step or of a sampler; what a dispatch does besides its `steps` steps is shared among these.
    """
    by_roofline, by_cycles = {}, None
    if chip and cost["gigaflop"]:
        by_roofline["operations"] = batch * chip.operations / (1e9 * cost["gigaflop"])
    if chip and cost["megabytes"]:
        by_roofline["bandwidth"] = batch * chip.bandwidth / (MEGA * cost["megabytes"])
    if chip and chip.clock and cost["cycles"]:
        by_cycles = batch * chip.clock / (cost["cycles"] + (cost["cycles_per_dispatch"] or 0.0) / steps)
    bound = min(by_roofline, key=lambda name: by_roofline[name], default=None)
    return {
        "bound": bound,
        "images_per_second_by_roofline": by_roofline[bound] if bound else None,
        "images_per_second_by_cycles": by_cycles,
    }


COLUMNS: Mapping[str, tuple[str, float]] = {
    "seconds_to_compile": ("compile, CPU s", 1.0),
    "gigaflop": ("GFLOP", 1.0),
    "megabytes": ("MB a step", 1.0),
    "argument_megabytes": ("arguments MB", 1.0),
    "temporary_megabytes": ("temporaries MB", 1.0),
    "kernels": ("kernels", 1.0),
    "cycles": ("thousand cycles a step", 1e3),
    "cycles_per_dispatch": ("besides, a dispatch", 1e3),
    "matrix_share": ("matrix unit, %", 0.01),
    "images_per_second_by_roofline": ("roofline, thousand images/s", 1e3),
    "images_per_second_by_cycles": ("by cycles, thousand images/s", 1e3),
}
"""The numbers of a row: their headings and units."""


def shown(rows: list[dict[str, Any]]) -> Table:
    """The rows as a table, a column for each recipe."""

    def number(row: dict[str, Any], name: str) -> str:
        return "-" if row[name] is None else f"{row[name] / COLUMNS[name][1]:,.4g}"

    table = _by_recipe(rows, number)
    table.add_row("bound", *(row["bound"] or "-" for row in rows))
    for kind in sorted({kind for row in rows for kind in row["collectives"]}):
        found = [row["collectives"].get(kind, {"count": 0, "megabytes": 0}) for row in rows]
        table.add_row(f"{kind}, MB", *(f"{one['count']:.0f}, {one['megabytes']:.2f}" for one in found))
    return table


def compared(rows: list[dict[str, Any]], earlier: list[dict[str, Any]]) -> Table:
    """The ratios of the rows to earlier ones of the same recipe, batch and devices."""
    before = {tuple(row[name] for name in NAMED): row for row in earlier}

    def ratio(row: dict[str, Any], name: str) -> str:
        old = before.get(tuple(row[key] for key in NAMED), {}).get(name)
        return f"{row[name] / old:.3f}" if row[name] and old else "-"

    return _by_recipe(rows, ratio, title="Relative to --against")


def _by_recipe(
    rows: list[dict[str, Any]], cell: Callable[[dict[str, Any], str], str], title: str | None = None
) -> Table:
    table = Table("", *(Column(row["recipe"], justify="right") for row in rows), title=title)
    table.add_row("batch", *(str(row["batch"]) for row in rows))
    for name, (heading, _) in COLUMNS.items():
        table.add_row(heading, *(cell(row, name) for row in rows))
    return table


def read_rows(path: Any) -> list[dict[str, Any]]:
    """The rows that `--out` wrote.

    Raises:
      InputError: the file cannot be read as such.
    """
    with refuse_damage(path, "the rows of --out"):
        return json.loads(path.read_text())["rows"]


def main() -> None:
    """Compiles and counts as the command line says."""
    config = tyro.cli(Config)
    require_bounds(config)
    if not config.recipes:
        raise InputError("No recipe is given: name an experiment, such as gan_mnist.")
    if config.sampler and (config.devices > 1 or config.parallel):
        raise InputError("--sampler draws on one device: leave out --devices and --parallel.")
    earlier = read_rows(config.against) if config.against else []
    devices = list(find_devices(config.platform, config.topology, config.devices))
    packages = ("jax", "libtpu") if config.platform == "tpu" else ("jax",)
    versions = {package: importlib.metadata.version(package) for package in packages}
    rows = []
    for words in config.recipes:
        rows.append(measure(words, config, devices))
        if config.out:
            write_whole(config.out, json.dumps({"versions": versions, "rows": rows}, indent=2) + "\n")
    say(shown(rows))
    if config.against:
        say(compared(rows, earlier))


if __name__ == "__main__":
    command(main)
