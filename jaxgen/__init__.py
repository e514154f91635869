"""Functional building blocks for image generation in JAX.

What trains is an `Update`, a pair of pure functions over named networks; updates and losses compose.  See
`jaxgen.update`, `jaxgen.objective` and `jaxgen.step` for the algebra, `jaxgen.losses`, `jaxgen.nets` and
`jaxgen.models` for what it is made of, and `jaxgen.experiment` for whole runs.
"""

from jaxgen.errors import InputError, OutsideError
from jaxgen.image import ImageSpec, to_float, to_uint8
from jaxgen.metrics import Mean, compute, mean, merge
from jaxgen.objective import add, lazily, renamed, scale
from jaxgen.parallel import data_parallel, make_mesh, pmapped
from jaxgen.step import init_state, make_step, scan_steps
from jaxgen.types import Aux, Batch, Context, Game, Loss, Networks, Sampler, TrainState, Update, Variables
from jaxgen.update import chain, ema, every, minimize, simultaneous, until

__all__ = [
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
