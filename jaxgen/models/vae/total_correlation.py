"""The beta-TCVAE: latents that are independent of each other.

Chen et al. (2018), https://arxiv.org/abs/1802.04942: the mean divergence of the posteriors from the prior is

    (1)  I(x; z)                                              mutual information
         + KL(q(z) || prod_j q(z_j))                          total correlation, which beta weighs
         + sum_j KL(q(z_j) || p(z_j))                         divergence of single latents

with q(z) estimated from the B posteriors of a batch out of N images (minibatch weighted sampling, equation (S2)):

    (2)  log q(z) = log 1/(N B) sum_i q(z | x_i)
"""

import math

import jax
import jax.numpy as jnp

from jaxgen.core.batch import gather_batch
from jaxgen.core.condition import conditioning
from jaxgen.core.metrics import mean
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.losses import gaussian_log_density
from jaxgen.models.vae.model import VAE, bound_metrics, draw_noise


def total_correlation_loss(vae: VAE, *, beta: float, dataset_size: int) -> Loss:
    """The negative evidence lower bound with `beta` times the total correlation in (1), averaged over the batch.

    Raises:
      ValueError: the prior is learned; (1) is of the standard normal.
    """
    if vae.prior.is_learned:
        raise ValueError("total_correlation_loss was given a VAE with a learned prior; expected standard_normal().")

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        (centre, log_variance), encoder = vae.encode(networks, context.batch, train=True)
        latent = centre + jnp.exp(log_variance / 2) * draw_noise(context.key, 1, centre.shape)[0]
        dist_params, decoder = vae.decode(networks, latent, *conditioning(vae.conditions, context.batch), train=True)
        likelihood = vae.likelihood.log_prob(dist_params, context.batch["image"])
        posterior = gaussian_log_density(latent, centre, log_variance).sum(-1)
        prior = gaussian_log_density(latent)
        joint, single = aggregate_densities(latent, centre, log_variance, dataset_size)
        information, correlation = posterior - joint, joint - single.sum(-1)
        divergence = (single - prior).sum(-1)
        metrics = bound_metrics(likelihood, posterior - prior.sum(-1)) | {
            "mutual_information": mean(information),
            "total_correlation": mean(correlation),
        }
        value = (information + beta * correlation + divergence - likelihood).mean()
        return value, Aux(metrics, {"encoder": encoder, "decoder": decoder})

    return loss


def aggregate_densities(latent: Array, centre: Array, log_variance: Array, dataset_size: int) -> tuple[Array, Array]:
    """Log q(z) [B] and log q(z_j) [B, Z] at latents [B, Z], by (2)."""
    centre, log_variance = gather_batch(centre), gather_batch(log_variance)
    pairs = gaussian_log_density(latent[:, None], centre, log_variance)
    total = math.log(dataset_size) + math.log(len(centre))
    return jax.nn.logsumexp(pairs.sum(-1), axis=1) - total, jax.nn.logsumexp(pairs, axis=1) - total
