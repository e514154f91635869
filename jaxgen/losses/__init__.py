"""Losses: arrays in, one value per example out; nothing is averaged here."""

from jaxgen.losses.adversarial import logistic_discriminator, non_saturating_generator
from jaxgen.losses.divergence import gaussian_kl, gaussian_log_density
from jaxgen.losses.likelihood import Likelihood, bernoulli, categorical, gaussian, learned_gaussian
from jaxgen.losses.logistic_mixture import discretized_logistic_mixture
from jaxgen.losses.penalties import zero_centred_penalty

__all__ = [
    "Likelihood",
    "bernoulli",
    "categorical",
    "discretized_logistic_mixture",
    "gaussian",
    "gaussian_kl",
    "gaussian_log_density",
    "learned_gaussian",
    "logistic_discriminator",
    "non_saturating_generator",
    "zero_centred_penalty",
]
