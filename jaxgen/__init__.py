"""Functional building blocks for image generation in JAX: optax transforms gradients; jaxgen transforms networks.

    losses      add, scale, lazily, renamed: losses from losses
    updates     minimize, simultaneous, chain, when, every, until, phases, ema
    steps       init_state, make_step, scan_steps; data_parallel, make_mesh, pmapped
    metrics     Mean, mean, merge, compute
    types       Update, Loss, Game, Sampler, Networks, Variables, Context, Aux, TrainState, Batch, Array, PyTree
    images      ImageSpec, to_float, to_uint8
    errors      InputError, OutsideError
    a run       load: the sampler of a finished run, `jaxgen.load("runs/gan_mnist").sample(16, seed=0)`

The parts of updates are in `jaxgen.losses`, `jaxgen.nets` and `jaxgen.models`, those of whole runs in `jaxgen.data`,
`jaxgen.training`, `jaxgen.evaluation` and `jaxgen.export`.
"""

from jaxgen.core.image import ImageSpec, to_float, to_uint8
from jaxgen.core.metrics import Mean, compute, mean, merge
from jaxgen.core.objective import add, lazily, renamed, scale
from jaxgen.core.parallel import data_parallel, make_mesh, pmapped
from jaxgen.core.sampler import Sampler
from jaxgen.core.step import init_state, make_step, scan_steps
from jaxgen.core.types import Array, Aux, Batch, Context, Game, Loss, Networks, PyTree, TrainState, Update, Variables
from jaxgen.core.update import chain, ema, every, minimize, phases, simultaneous, until, when
from jaxgen.export.sampler import load
from jaxgen.io.errors import InputError, OutsideError

__all__ = [
    "Array",
    "Aux",
    "Batch",
    "Context",
    "Game",
    "ImageSpec",
    "InputError",
    "Loss",
    "Mean",
    "Networks",
    "OutsideError",
    "PyTree",
    "Sampler",
    "TrainState",
    "Update",
    "Variables",
    "add",
    "chain",
    "compute",
    "data_parallel",
    "ema",
    "every",
    "init_state",
    "lazily",
    "load",
    "make_mesh",
    "make_step",
    "mean",
    "merge",
    "minimize",
    "phases",
    "pmapped",
    "renamed",
    "scale",
    "scan_steps",
    "simultaneous",
    "to_float",
    "to_uint8",
    "until",
    "when",
]
