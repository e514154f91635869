"""What a training step needs, said and checked before it is compiled: parameters, and memory."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jaxgen.core.parallel import Strategy
from jaxgen.core.rows import stored_bytes
from jaxgen.core.types import Networks
from jaxgen.data import Dataset, StreamedDataset
from jaxgen.io.errors import InputError
from jaxgen.io.system import installed_memory

GIB = 2**30
SLACK = 1.5
"""By how much `peak_bytes` may exceed what the compiled program needs: of eight experiments on a CPU, 1.31 at most."""


def peak_bytes(program: ClosedJaxpr) -> int:
    """The most bytes of arrays that live at once in a traced program: inputs, intermediate results and outputs.

    Each result lives until the last operation that reads it.  A compiler fuses operations, so a compiled program needs
    less, never by much if convolutions or matrix products give most of its results.
    """
    return _peak(program.jaxpr)


def data_bytes(dataset: Dataset | StreamedDataset, strategy: Strategy) -> int:
    """The bytes of the examples that all devices hold together; none of a data set that is streamed."""
    if isinstance(dataset, StreamedDataset):
        return 0
    sizes = [stored_bytes(array) for array in dataset.arrays.values()]
    return sum(size * strategy.copies(size) for size in sizes)


def require_memory(program: ClosedJaxpr, smaller: str, held: int = 0) -> int:
    """The bytes that training by a traced step needs, over all devices, if they hold `held` bytes of data.

    `smaller` says what needs less if it is smaller.

    Raises:
      InputError: there is far less memory than that.
    """
    working, memory = peak_bytes(program), device_memory()
    if working > SLACK * (memory - held):
        data = f", {held / GIB:.1f} of it for the data set" if held > working else ""
        raise InputError(
            f"Training needs about {(working + held) / GIB:.1f} GiB of memory{data}, and there are "
            f"{memory / GIB:.1f}: make {'--memory-gib' if data else smaller} smaller."
        )
    return working + held


def device_memory() -> float:
    """The bytes of memory of all devices together; infinity where the system does not say."""
    limits = [(device.memory_stats() or {}).get("bytes_limit", 0) for device in jax.local_devices()]
    return jax.process_count() * (sum(limits) or installed_memory())  # a CPU device does not say


def parameter_counts(networks: Networks) -> str:
    """The number of parameters of each network that has any, such as `generator 1.7 M, discriminator 1.7 M`.

    Averages of networks are left out.
    """
    counts = {
        name: sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        for name, variables in networks.items()
        if "params" in variables and not name.endswith("_ema")
    }
    return ", ".join(f"{name} {shortened(count)}" for name, count in counts.items())


def shortened(count: int) -> str:
    """A number of parameters as people read it.

    >>> shortened(512), shortened(45_312), shortened(1_756_096)
    ('512', '45 K', '1.8 M')
    """
    if count < 1_000:
        return str(count)
    return f"{count / 1e3:.0f} K" if count < 1e6 else f"{count / 1e6:.1f} M"


def _peak(jaxpr: Jaxpr) -> int:
    """The most bytes that live at once in a program whose inputs live throughout."""
    last = {var: index for index, eqn in enumerate(jaxpr.eqns) for var in eqn.invars if not isinstance(var, Literal)}
    last |= {var: len(jaxpr.eqns) for var in jaxpr.outvars if not isinstance(var, Literal)}
    live = peak = sum(map(_bytes, (*jaxpr.invars, *jaxpr.constvars)))
    ends: dict[int, int] = {}
    for index, eqn in enumerate(jaxpr.eqns):
        results = [var for var in eqn.outvars if var in last]
        own = sum(map(_bytes, results))
        # What a program inside needs besides its inputs, which live here already.
        inner = max((_peak(part) - sum(map(_bytes, part.invars)) for part in _parts(eqn.params)), default=0)
        peak = max(peak, live + max(own, inner))
        live += own
        for var in results:
            ends[last[var]] = ends.get(last[var], 0) + _bytes(var)
        live -= ends.pop(index, 0)
    return peak


def _parts(params: Mapping[str, Any]) -> Iterator[Jaxpr]:
    """The programs inside an operation, such as the branches of a conditional."""
    for value in jax.tree.leaves(list(params.values()), is_leaf=lambda leaf: isinstance(leaf, Jaxpr | ClosedJaxpr)):
        if isinstance(value, Jaxpr | ClosedJaxpr):
            yield value.jaxpr if isinstance(value, ClosedJaxpr) else value


def _bytes(var: Any) -> int:
    return math.prod(var.aval.shape) * var.aval.dtype.itemsize
