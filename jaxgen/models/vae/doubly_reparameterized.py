"""The importance-weighted bound with the doubly reparameterised gradient.

Tucker et al. (2018), https://arxiv.org/abs/1810.04152, equation (8): with w_i = p(x, z_i) / q(z_i | x), normalised
weights v_i = w_i / sum_j w_j, and z_i a differentiable function of the encoder's parameters,

    encoder    sum_i v_i^2 d log w_i / d z_i  d z_i        and nothing through the density of q
    decoder    sum_i v_i d log w_i

It has the expectation of the bound's own gradient, and a signal-to-noise ratio that does not vanish as k grows.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.models.vae.model import VAE, bound_metrics, require_samples

stop = jax.lax.stop_gradient


def doubly_reparameterized_loss(vae: VAE, *, samples: int) -> Loss:
    """The value of `importance_weighted_loss` with this gradient.

    Raises:
      ValueError: no samples.
    """
    require_samples(samples)

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        encoded = vae.sample_posterior(networks, context, samples)
        images = context.batch["image"]

        def terms(networks: Networks, latent: Array) -> tuple[Array, Array, Networks]:
            dist_params, decoder = encoded.decode(networks, latent)
            posterior = vae.posterior.log_prob(stop(encoded.params), latent).sum(-1)
            ratio = posterior - vae.prior.log_prob(networks, vae.recognition, latent)
            return vae.likelihood.log_prob(dist_params, images), ratio, decoder

        likelihood, ratio, decoder = terms(networks, stop(encoded.latents))
        through_latents, other_ratio, _ = terms(stop(networks), encoded.latents)
        weights = stop(jax.nn.softmax(likelihood - ratio, axis=0))
        surrogate = weights * (likelihood - ratio) + jnp.square(weights) * (through_latents - other_ratio)
        surrogate = -surrogate.sum(0).mean()
        value = stop(-jax.nn.logmeanexp(likelihood - ratio, axis=0).mean()) + surrogate - stop(surrogate)
        changes = {vae.encoder_name: encoded.changes, vae.decoder_name: decoder}
        return value, Aux(bound_metrics(likelihood, ratio), changes)

    return loss
