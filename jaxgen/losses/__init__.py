"""Losses: arrays in, in most cases one value per example out; none is averaged over the batch."""

from jaxgen.losses.adversarial import (
    hinge_discriminator,
    least_squares_discriminator,
    least_squares_generator,
    logistic_discriminator,
    minimax_generator,
    non_saturating_generator,
    relativistic_average,
    relativistic_paired,
    wasserstein_critic,
    wasserstein_generator,
)
from jaxgen.losses.contrastive import symmetric_cross_entropy
from jaxgen.losses.divergence import gaussian_kl, gaussian_log_densities, gaussian_log_density
from jaxgen.losses.likelihood import (
    Likelihood,
    bernoulli,
    categorical,
    gaussian,
    learned_gaussian,
    require_num_params,
    require_temperature,
    tempered,
)
from jaxgen.losses.logistic_mixture import discretized_logistic_mixture
from jaxgen.losses.penalties import (
    Discriminator,
    finite_difference_penalty,
    lecam_penalty,
    one_centred_penalty,
    squared_slopes,
    zero_centred_penalty,
)
from jaxgen.losses.reconstruction import (
    Distance,
    absolute_error,
    charbonnier_error,
    perceptual_error,
    squared_error,
)
from jaxgen.losses.style import channel_moments, gram_matrix, gram_style_loss, moment_style_loss

__all__ = [
    "Discriminator",
    "Distance",
    "Likelihood",
    "absolute_error",
    "bernoulli",
    "categorical",
    "channel_moments",
    "charbonnier_error",
    "discretized_logistic_mixture",
    "finite_difference_penalty",
    "gaussian",
    "gaussian_kl",
    "gaussian_log_densities",
    "gaussian_log_density",
    "gram_matrix",
    "gram_style_loss",
    "hinge_discriminator",
    "learned_gaussian",
    "least_squares_discriminator",
    "least_squares_generator",
    "lecam_penalty",
    "logistic_discriminator",
    "minimax_generator",
    "moment_style_loss",
    "non_saturating_generator",
    "one_centred_penalty",
    "perceptual_error",
    "relativistic_average",
    "relativistic_paired",
    "require_num_params",
    "require_temperature",
    "squared_error",
    "squared_slopes",
    "symmetric_cross_entropy",
    "tempered",
    "wasserstein_critic",
    "wasserstein_generator",
    "zero_centred_penalty",
]
