"""Diffusion models and flow matching.

models        Diffusion, Worse
losses        denoising_loss; mean_flow_loss, consistency_tuning_loss for few steps, with mean_flow_sampler,
              average_velocity, consistency_function, sigmoid_mapping
schedules     linear, cosine, variance_exploding; times: uniform_times, logit_normal_times, log_normal_times,
              log_uniform_times
predictions   velocity, noise, clean, karras, karras_by_time; with_boundary
weights       flow_matching_weight, karras_weight, min_snr_weight, sigmoid_weight, signal_to_noise
solvers       euler, heun, dpm_solver_2m, ancestral, churn, restart, multistep_consistency; on a Process: solve,
              trajectory
time grids    uniform_grid, karras_grid, log_snr_grid, noise_levels
guidance      classifier_free, classifier_free_each, autoguidance, unguided; at_time gives a Process a denoiser and its
              condition
panoramas     panorama, from the denoiser of Windows; in_batches
steering      steer, resample, solve_round, round_times: particles that follow a reward
restoration   null_space, nearly_null_space, posterior, posterior_sampling, of what is observed: observe
latents       map_vae, autoencoder_first; on_latents, decoded, decoded_controls, follow_moments; vae_autoencoder,
              vqvae_autoencoder
clips         known_frames, frame_of_clip, motion_loss; strip_sampler, film_strip
likelihood    variational_bound, flow_likelihood, flow_log_density with the probes random_signs or unit_vectors
"""

from jaxgen.models.diffusion.added_noise import added_noise
from jaxgen.models.diffusion.clips import (
    film_strip,
    frame_of_clip,
    known_frames,
    motion_loss,
    strip_sampler,
)
from jaxgen.models.diffusion.consistency import (
    NoiseMapping,
    consistency_function,
    consistency_tuning_loss,
    multistep_consistency,
    noise_levels,
    sigmoid_mapping,
)
from jaxgen.models.diffusion.grid import Grid, karras_grid, log_snr_grid, uniform_grid
from jaxgen.models.diffusion.guidance import (
    Denoiser,
    Guidance,
    at_time,
    autoguidance,
    classifier_free,
    classifier_free_each,
    unguided,
)
from jaxgen.models.diffusion.latent import (
    Autoencoder,
    autoencoder_first,
    decoded,
    decoded_controls,
    follow_moments,
    map_vae,
    on_latents,
    vae_autoencoder,
    vqvae_autoencoder,
)
from jaxgen.models.diffusion.loss import denoising_loss
from jaxgen.models.diffusion.mean_flow import average_velocity, mean_flow_loss, mean_flow_sampler
from jaxgen.models.diffusion.model import Diffusion, Worse
from jaxgen.models.diffusion.panorama import Windows, in_batches, panorama
from jaxgen.models.diffusion.prediction import (
    Prediction,
    Scaling,
    clean,
    karras,
    karras_by_time,
    noise,
    velocity,
    with_boundary,
)
from jaxgen.models.diffusion.probability_flow import (
    FlowLikelihood,
    flow_likelihood,
    flow_log_density,
    random_signs,
    unit_vectors,
)
from jaxgen.models.diffusion.restoration import (
    Covariance,
    Observation,
    isotropic,
    nearly_null_space,
    null_space,
    observe,
    posterior,
    posterior_sampling,
    tweedie,
)
from jaxgen.models.diffusion.schedule import (
    Schedule,
    Times,
    cosine,
    linear,
    log_normal_times,
    log_uniform_times,
    logit_normal_times,
    signal_to_noise,
    uniform_times,
    variance_exploding,
)
from jaxgen.models.diffusion.solver import Process, Solver, ddim, dpm_solver_2m, euler, heun, solve, trajectory
from jaxgen.models.diffusion.steering import Particles, resample, round_times, solve_round, steer
from jaxgen.models.diffusion.stochastic import ancestral, churn, restart
from jaxgen.models.diffusion.variational_bound import VariationalBound, variational_bound
from jaxgen.models.diffusion.weight import (
    Weight,
    flow_matching_weight,
    karras_weight,
    min_snr_weight,
    sigmoid_weight,
)

__all__ = [
    "Autoencoder",
    "Covariance",
    "Denoiser",
    "Diffusion",
    "FlowLikelihood",
    "Grid",
    "Guidance",
    "NoiseMapping",
    "Observation",
    "Particles",
    "Prediction",
    "Process",
    "Scaling",
    "Schedule",
    "Solver",
    "Times",
    "VariationalBound",
    "Weight",
    "Windows",
    "Worse",
    "added_noise",
    "ancestral",
    "at_time",
    "autoencoder_first",
    "autoguidance",
    "average_velocity",
    "churn",
    "classifier_free",
    "classifier_free_each",
    "clean",
    "consistency_function",
    "consistency_tuning_loss",
    "cosine",
    "ddim",
    "decoded",
    "decoded_controls",
    "denoising_loss",
    "dpm_solver_2m",
    "euler",
    "film_strip",
    "flow_likelihood",
    "flow_log_density",
    "flow_matching_weight",
    "follow_moments",
    "frame_of_clip",
    "heun",
    "in_batches",
    "isotropic",
    "karras",
    "karras_by_time",
    "karras_grid",
    "karras_weight",
    "known_frames",
    "linear",
    "log_normal_times",
    "log_snr_grid",
    "log_uniform_times",
    "logit_normal_times",
    "map_vae",
    "mean_flow_loss",
    "mean_flow_sampler",
    "min_snr_weight",
    "motion_loss",
    "multistep_consistency",
    "nearly_null_space",
    "noise",
    "noise_levels",
    "null_space",
    "observe",
    "on_latents",
    "panorama",
    "posterior",
    "posterior_sampling",
    "random_signs",
    "resample",
    "restart",
    "round_times",
    "sigmoid_mapping",
    "sigmoid_weight",
    "signal_to_noise",
    "solve",
    "solve_round",
    "steer",
    "strip_sampler",
    "trajectory",
    "tweedie",
    "unguided",
    "uniform_grid",
    "uniform_times",
    "unit_vectors",
    "vae_autoencoder",
    "variance_exploding",
    "variational_bound",
    "velocity",
    "vqvae_autoencoder",
    "with_boundary",
]
