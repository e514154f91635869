"""The beta-TCVAE, which penalises dependence between latents.

Chen et al. (2018), https://arxiv.org/abs/1802.04942, decompose the mean divergence of the posteriors from the prior:

    (1)  I(x; z)                                              mutual information
         + KL(q(z) || prod_j q(z_j))                          total correlation, weighted by beta
         + sum_j KL(q(z_j) || p(z_j))                         dimension-wise divergence

with q(z) estimated from the B posteriors of a batch out of N images (minibatch weighted sampling, equation (S2)):

    (2)  log q(z) = log 1/(N B) sum_i q(z | x_i)
"""

import math

import jax

from jaxgen.core.batch import gather_batch
from jaxgen.core.metrics import mean
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.losses import gaussian_log_density
from jaxgen.models.vae.model import VAE, bound_metrics
from jaxgen.models.vae.posterior import Params, Posterior


def total_correlation_loss(vae: VAE, *, beta: float, dataset_size: int) -> Loss:
    """The negative evidence lower bound with `beta` times the total correlation in (1), averaged over the batch.

    Raises:
      ValueError: the prior is learned; (1) assumes the standard normal.
    """
    if vae.prior.is_learned:
        raise ValueError("total_correlation_loss was given a VAE with a learned prior; expected standard_normal().")

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        encoded = vae.sample_posterior(networks, context)
        latent = encoded.latents[0]
        dist_params, decoder = encoded.decode(networks, latent)
        likelihood = vae.likelihood.log_prob(dist_params, context.batch["image"])
        posterior = vae.posterior.log_prob(encoded.params, latent).sum(-1)
        prior = gaussian_log_density(latent)
        joint, single = aggregate_densities(vae.posterior, encoded.params, latent, dataset_size)
        information, correlation = posterior - joint, joint - single.sum(-1)
        divergence = (single - prior).sum(-1)
        metrics = bound_metrics(likelihood, posterior - prior.sum(-1)) | {
            "mutual_information": mean(information),
            "total_correlation": mean(correlation),
        }
        value = (information + beta * correlation + divergence - likelihood).mean()
        return value, Aux(metrics, {vae.encoder_name: encoded.changes, vae.decoder_name: decoder})

    return loss


def aggregate_densities(posterior: Posterior, params: Params, latent: Array, dataset_size: int) -> tuple[Array, Array]:
    """Log q(z) [B] and log q(z_j) [B, Z] of the aggregate posterior at latents [B, Z], by (2)."""
    params = jax.tree.map(gather_batch, params)
    pairs = posterior.log_prob(params, latent[:, None])
    total = math.log(dataset_size) + math.log(pairs.shape[1])
    return jax.nn.logsumexp(pairs.sum(-1), axis=1) - total, jax.nn.logsumexp(pairs, axis=1) - total
