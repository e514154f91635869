"""Functional building blocks for image generation in JAX.

What trains is an `Update`, a pair of pure functions over named networks; updates and losses compose.  See
`jaxgen.core.update`, `jaxgen.core.objective` and `jaxgen.core.step` for the algebra, `jaxgen.losses`, `jaxgen.nets` and
`jaxgen.models` for what it is made of, and `jaxgen.training.run` for whole runs.
"""

from jaxgen.core.image import ImageSpec, to_float, to_uint8
from jaxgen.core.metrics import Mean, compute, mean, merge
from jaxgen.core.objective import add, lazily, renamed, scale
from jaxgen.core.parallel import data_parallel, make_mesh, pmapped
from jaxgen.core.step import init_state, make_step, scan_steps
from jaxgen.core.types import Array, Aux, Batch, Context, Game, Loss, Networks, Sampler, TrainState, Update, Variables
from jaxgen.core.update import chain, ema, every, minimize, simultaneous, until
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
    "make_mesh",
    "make_step",
    "mean",
    "merge",
    "minimize",
    "pmapped",
    "renamed",
    "scale",
    "scan_steps",
    "simultaneous",
    "to_float",
    "to_uint8",
    "until",
]
