"""Diffusion models and flow matching: a model, its loss, and the values that they are composed of.

model         Diffusion, denoising_loss
schedules     linear, cosine, variance_exploding; training times
predictions   velocity, noise, clean, karras
weights       flow_matching_weight, karras_weight, min_snr_weight, sigmoid_weight
solvers       euler, heun, dpm_solver_2m, ancestral, churn, restart; solve
time grids    uniform_grid, karras_grid, log_snr_grid
guidance      classifier_free, autoguidance
"""

from jaxgen.models.diffusion.grid import Grid, karras_grid, log_snr_grid, uniform_grid
from jaxgen.models.diffusion.guidance import Denoiser, Guidance, autoguidance, classifier_free, unguided
from jaxgen.models.diffusion.loss import denoising_loss
from jaxgen.models.diffusion.model import Diffusion
from jaxgen.models.diffusion.prediction import Prediction, Scaling, clean, karras, noise, velocity
from jaxgen.models.diffusion.schedule import (
    Schedule,
    Times,
    cosine,
    linear,
    log_normal_times,
    logit_normal_times,
    uniform_times,
    variance_exploding,
)
from jaxgen.models.diffusion.solver import Process, Solver, ddim, dpm_solver_2m, euler, heun, solve
from jaxgen.models.diffusion.stochastic import ancestral, churn, restart
from jaxgen.models.diffusion.weight import (
    Weight,
    flow_matching_weight,
    karras_weight,
    min_snr_weight,
    sigmoid_weight,
)

__all__ = [
    "Denoiser",
    "Diffusion",
    "Grid",
    "Guidance",
    "Prediction",
    "Process",
    "Scaling",
    "Schedule",
    "Solver",
    "Times",
    "Weight",
    "ancestral",
    "autoguidance",
    "churn",
    "classifier_free",
    "clean",
    "cosine",
    "ddim",
    "denoising_loss",
    "dpm_solver_2m",
    "euler",
    "flow_matching_weight",
    "heun",
    "karras",
    "karras_grid",
    "karras_weight",
    "linear",
    "log_normal_times",
    "log_snr_grid",
    "logit_normal_times",
    "min_snr_weight",
    "noise",
    "restart",
    "sigmoid_weight",
    "solve",
    "unguided",
    "uniform_grid",
    "uniform_times",
    "variance_exploding",
    "velocity",
]
