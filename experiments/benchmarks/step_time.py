"""Time of a training step.  python experiments/benchmarks/step_time.py --help

The textbook DCGAN at three sizes: in jaxgen, the same networks on stock XLA convolutions (what Flax's layers call), and
in PyTorch as its own tutorial writes it.  Losses and gradients are checked to be the same first; then all take turns in
one run on the same cores, and the medians are compared.  On a GPU the same command measures the GPU.  Needs the extra
`bench`.
"""

import json
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import textbook
import torch
import tyro
from jax import lax
from rich.table import Table
from timing import Turn, product_rate, seconds_of

from jaxgen import Context, ImageSpec, init_state, make_mesh, make_step, to_float
from jaxgen.core.parallel import by_jit
from jaxgen.core.rows import take_rows
from jaxgen.io.files import write_whole
from jaxgen.io.terminal import say
from jaxgen.models import stream
from jaxgen.nets.layers.conv import LAYOUT
from jaxgen.training import Bounds, Count, UserPath, command, require_bounds
from jaxgen.training.dispatch import many_steps

IMAGES = 1_024
TOLERANCE = 1e-6
"""Largest difference of a loss or gradient, relative to the largest of its tensor: losses are measured in float32."""


class Case(NamedTuple):
    """A size and a batch."""

    spec: ImageSpec
    batch: int

    def __str__(self) -> str:
        return "x".join(map(str, self.spec))


CASES = (Case(ImageSpec(28, 28, 1), 64), Case(ImageSpec(32, 32, 1), 128), Case(ImageSpec(64, 64, 3), 64))


@dataclass(frozen=True)
class Options:
    """Time a DCGAN training step in jaxgen, on stock XLA convolutions, and in PyTorch."""

    out: UserPath = Path("runs/step_time.json")
    """The results as JSON."""
    rounds: Count = 7
    """Turns of each, of which the median counts."""
    seconds: Annotated[float, Bounds(above=0)] = 2.0
    """Approximate seconds of a turn."""
    scan: tuple[Count, ...] = (1, 20)
    """Steps in one dispatch of jaxgen."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """The dtype that the networks compute in."""


def stock(operation: Any) -> Any:
    """A convolution of XLA's own."""
    return lambda image, kernel, strides, padding, **_: operation(
        image, kernel, strides, padding, dimension_numbers=LAYOUT
    )


def on_stock_convolutions(function: Callable[[], Any]) -> Any:
    """The result of a function while the layers call XLA's own convolutions."""
    names = {"conv": stock(lax.conv_general_dilated), "conv_transpose": stock(lax.conv_transpose)}
    with mock.patch.multiple("jaxgen.nets.layers.conv", **names):
        return function()


def start_jaxgen(case: Case, dtype: str):
    """State, step, and images."""
    gan = textbook.jaxgen_gan(case.spec, jnp.dtype(dtype))
    update = textbook.jaxgen_update(gan, optax.adam(textbook.LEARNING_RATE, b1=textbook.BETA1))
    state = init_state(update, gan.init(jax.random.key(0), case.spec), jax.random.key(1))
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, *case.spec), np.uint8)
    return state, make_step(update), images


def jaxgen_turn(case: Case, dtype: str, scan: int) -> Turn:
    """As jaxgen trains: the data on the device, `scan` steps per dispatch."""
    state, step, images = start_jaxgen(case, dtype)
    one = by_jit(make_mesh(jax.devices()[:1]))

    def select(data: Any, index: Any) -> dict[str, Any]:
        return {"image": take_rows(data["image"], index, case.spec)}

    run = one.compile(many_steps(step, select))
    state, data = one.put_state(state), one.put_rows({"image": images})
    indices = np.random.default_rng(1).integers(0, IMAGES, (scan, case.batch)).astype(np.int32)

    def turn(calls: int) -> None:
        nonlocal state
        for _ in range(calls):
            state, _ = run(state, data, one.put_sharded(indices), np.int32(scan))
        jax.block_until_ready(state)

    return Turn(turn, scan)


def stock_turn(case: Case, dtype: str) -> Turn:
    """The same on XLA's convolutions, one step per dispatch: inside a loop they would be slower still."""
    state, step, images = start_jaxgen(case, dtype)
    batch = {"image": jax.device_put(images[: case.batch])}
    run = on_stock_convolutions(lambda: jax.jit(step, donate_argnums=0).lower(state, batch).compile())

    def turn(calls: int) -> None:
        nonlocal state
        for _ in range(calls):
            state, _ = run(state, batch)
        jax.block_until_ready(state)

    return Turn(turn)


def torch_turn(case: Case, dtype: str, *, compiled: bool) -> Turn:
    """PyTorch, channels last; the data on the device as float32."""
    device = textbook.torch_device()
    gan = textbook.torch_gan(case.spec, device)
    if compiled:
        gan = textbook.TorchGAN(*(torch.compile(network) for network in gan))  # pyright: ignore[reportArgumentType]
    step = textbook.torch_step(gan, textbook.torch_adam, getattr(torch, dtype))
    real = torch.rand(case.batch, case.spec.channels, case.spec.height, case.spec.width, device=device) * 2 - 1
    real = real.contiguous(memory_format=torch.channels_last)

    def turn(calls: int) -> None:
        for _ in range(calls):
            step(real, torch.randn(case.batch, textbook.LATENT, 1, 1, device=device))
        if device == "cuda":
            torch.cuda.synchronize()

    return Turn(turn)


def difference(case: Case, *, on_stock: bool) -> float:
    """The largest relative difference of losses and gradients between jaxgen and PyTorch, same weights and inputs.

    In float64, since in float32 a ReLU near its kink differs by more than the sums do.  Plain gradient descent shows
    the gradients: the difference of the weights before and after, divided by the rate.
    """
    rate, gan = 1e-3, textbook.jaxgen_gan(case.spec, np.float64)
    update = textbook.jaxgen_update(gan, optax.sgd(rate))
    networks = jax.tree.map(lambda leaf: leaf.astype(np.float64), gan.init(jax.random.key(0), case.spec))
    state = init_state(update, networks, jax.random.key(1))
    image = jax.random.randint(jax.random.key(2), (case.batch, *case.spec), 0, 256).astype(jnp.uint8)
    # The latents that the step draws: `share_images` draws them from this stream.
    drawing = stream(Context({"image": image}, jax.random.fold_in(state.key, 0), state.step), "images")
    latent = gan.latents(drawing)
    before = textbook.to_torch_layout(state.networks)
    run = partial(jax.jit(make_step(update)), state, {"image": image})
    after, metrics = on_stock_convolutions(run) if on_stock else run()

    peer = textbook.TorchGAN(*(network.double() for network in textbook.torch_gan(case.spec)))
    weights = [list(network.parameters()) for network in peer]
    with torch.no_grad():
        for theirs, ours in zip(weights, before, strict=True):
            for parameter, array in zip(theirs, ours, strict=True):
                parameter.copy_(torch.from_numpy(array.copy()))
    step = textbook.torch_step(peer, partial(torch.optim.SGD, lr=rate))
    real = torch.from_numpy(np.array(to_float(image))).permute(0, 3, 1, 2)
    losses = step(real.double(), torch.from_numpy(np.array(latent))[:, :, None, None].double())
    names = ("discriminator/loss", "generator/loss")
    pairs: list[tuple[Any, Any]] = [(metrics[name].total, loss) for name, loss in zip(names, losses, strict=True)]
    for network, old, new in zip(weights, before, textbook.to_torch_layout(after.networks), strict=True):
        for parameter, was, now in zip(network, old, new, strict=True):
            pairs.append(((was - now) / rate, (was - parameter.detach().numpy()) / rate))
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max()) for a, b in pairs)


def take_turns(turns: dict[str, Turn], options: Options) -> dict[str, list[float]]:
    """Seconds per step of each, `rounds` times, in turn."""
    calls = {}
    for name, turn in turns.items():
        seconds_of(turn, 1)  # compiles
        calls[name] = max(1, round(options.seconds / turn.steps / seconds_of(turn, 1)))
    times = {name: [] for name in turns}
    for _ in range(options.rounds):
        for name, turn in turns.items():
            times[name].append(seconds_of(turn, calls[name]))
    return times


def operations(case: Case, dtype: str) -> float:
    """Floating-point operations of jaxgen's compiled step, as XLA counts them."""
    state, step, images = start_jaxgen(case, dtype)
    compiled: Any = jax.jit(step).lower(state, {"image": images[: case.batch]}).compile()
    return compiled.cost_analysis()["flops"]


def measure(case: Case, options: Options) -> dict[str, Any]:
    """All results of one size."""
    jax.config.update("jax_enable_x64", True)
    differences = {"jaxgen": difference(case, on_stock=False), "stock": difference(case, on_stock=True)}
    jax.config.update("jax_enable_x64", False)
    if max(differences.values()) > TOLERANCE:
        raise SystemExit(f"{case}: these are not the same step: relative differences {differences}")
    turns = {f"jaxgen, {scan} per dispatch": jaxgen_turn(case, options.dtype, scan) for scan in options.scan}
    turns["stock convolutions"] = stock_turn(case, options.dtype)
    turns["PyTorch, eager"] = torch_turn(case, options.dtype, compiled=False)
    turns["PyTorch, compiled"] = torch_turn(case, options.dtype, compiled=True)
    times = take_turns(turns, options)
    medians = {name: statistics.median(values) for name, values in times.items()}
    peer = medians["PyTorch, eager"]
    return {
        "case": str(case),
        "batch": case.batch,
        "differences": differences,
        "flops": operations(case, options.dtype),
        "seconds": times,
        "median": medians,
        "images_per_second": {name: case.batch / median for name, median in medians.items()},
        "ratio_to_eager": {name: median / peer for name, median in medians.items()},
    }


def table_of(results: list[dict[str, Any]], rate: float) -> Table:
    """The medians, side by side."""
    table = Table("size, batch", "", "ms per step", "images/s", "to PyTorch eager", "of the product rate")
    for result in results:
        for name, median in result["median"].items():
            table.add_row(
                f"{result['case']}, {result['batch']}",
                name,
                f"{1e3 * median:.1f}",
                f"{result['images_per_second'][name]:,.0f}",
                f"{result['ratio_to_eager'][name]:.2f}",
                f"{result['flops'] / median / rate:.0%}" if name.startswith("jaxgen") else "",
            )
        table.add_section()
    return table


def main() -> None:
    """Measures as the command line says."""
    options = tyro.cli(Options)
    require_bounds(options)
    rate, results = product_rate(options.dtype), []
    for case in CASES:
        say(f"{case} ...")
        results.append(measure(case, options))
    say(table_of(results, rate))
    machine = {
        "device": jax.devices()[0].device_kind,
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "versions": {"jax": jax.__version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    record = {"machine": machine, "dtype": options.dtype, "product_flops_per_second": rate, "results": results}
    write_whole(options.out, json.dumps(record, indent=2) + "\n")
    say(f"{options.out}")


if __name__ == "__main__":
    command(main)
