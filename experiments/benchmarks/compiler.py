"""The compilers: devices that need not be there, and what is known of a compiled program.

All calls that depend on the version of JAX are here.  Chips by the name that JAX has for a device:

    TPU v4         https://cloud.google.com/tpu/docs/v4; JAX's device is one of the chip's two TensorCores
    TPU v5 lite    v5e, https://cloud.google.com/tpu/docs/v5e
    TPU v5         v5p, https://cloud.google.com/tpu/docs/v5p
    TPU v6 lite    v6e, https://cloud.google.com/tpu/docs/v6e

The clock is the one at which the matrix units (128x128) do that many operations; it is left out for the v6e, whose
published units and operations give none.
"""

import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import hlo
import jax
from jax.experimental import topologies

from jaxgen import InputError
from jaxgen.core.parallel import Device
from jaxgen.io.errors import first_line

TOPOLOGY = "v5e:2x2"


class Chip(NamedTuple):
    """Peak operations per second in bfloat16, bytes per second of the memory, and cycles per second of a device."""

    operations: float
    bandwidth: float
    clock: float | None


CHIPS = {
    "TPU v4": Chip(275e12 / 2, 1200e9 / 2, 1.05e9),
    "TPU v5 lite": Chip(197e12, 819e9, 1.5e9),
    "TPU v5": Chip(459e12, 2765e9, 1.75e9),
    "TPU v6 lite": Chip(918e12, 1638e9, None),
}


class Compiled(NamedTuple):
    """A compiled program, the CPU seconds that it took, its operations, the bytes of its arguments and temporaries.

    `flops` is XLA's count, for one device: of a conditional the dearest branch, of a loop one turn.
    """

    program: hlo.Program
    text: str
    seconds: float
    flops: float
    arguments: int
    temporaries: int


def find_devices(platform: str, topology: str | None, count: int) -> Sequence[Device]:
    """Devices to compile for: those of a TPU topology, or simulated ones.

    Raises:
      InputError: there is no such topology, it has fewer devices, or libtpu is not installed.
    """
    if platform == "cpu":
        if topology is not None:
            raise InputError(f"--topology {topology} is of TPUs: leave it out, or give --platform tpu.")
        if count > 1:
            jax.config.update("jax_num_cpu_devices", count)
        devices = jax.devices("cpu")
    else:
        devices = _topology(topology or TOPOLOGY)
    if count > len(devices):
        raise InputError(f"--devices {count}: there are {len(devices)} in {topology or TOPOLOGY}.")
    return devices[:count]


def compile_lowered(lowered: Any) -> Compiled:
    """Compiles a program, as `jax.jit(function).lower(...)` gives it."""
    began = time.process_time()  # of all threads, and little changed by what else the machine does
    compiled = lowered.compile()
    seconds = time.process_time() - began
    text, memory = compiled.as_text() or "", compiled.memory_analysis()
    flops = float((compiled.cost_analysis() or {}).get("flops", 0.0))
    sizes = int(memory.argument_size_in_bytes), int(memory.temp_size_in_bytes)
    return Compiled(hlo.parse(text), text, seconds, flops, *sizes)


def has_tpu_compiler() -> bool:
    """Whether libtpu is installed."""
    return find_spec("libtpu") is not None


def _topology(name: str) -> Sequence[Device]:
    if not has_tpu_compiler():
        raise InputError(
            "--platform tpu: libtpu is not installed: pip install 'jax[tpu]' into an environment of its own, or give "
            "--platform cpu."
        )
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name).devices
    except Exception as error:  # whatever libtpu raises
        known = "v5e:2x2, v4:2x2x1, v5p:2x2x1, v6e:2x2 and larger ones"
        raise InputError(f"--topology {name}: {first_line(error).removesuffix('.')}; expected {known}.") from error
