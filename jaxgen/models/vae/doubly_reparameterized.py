"""The importance-weighted bound with the doubly reparameterised gradient.

Tucker et al. (2018), https://arxiv.org/abs/1810.04152, equation (8): with w_i = p(x, z_i) / q(z_i | x), v_i the share
of w_i in their sum, and z_i = m + s e_i of the encoder's m and s,

    encoder    sum_i v_i^2 d log w_i / d z_i  d z_i        and nothing through the density of q
    decoder    sum_i v_i d log w_i

It has the expectation of the bound's own gradient, and its signal does not drown in noise as k grows.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.condition import conditioning
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.losses import gaussian_log_density
from jaxgen.models.vae.model import VAE, bound_metrics, draw_noise, log_mean_exp, require_samples

stop = jax.lax.stop_gradient


def doubly_reparameterized_loss(vae: VAE, *, samples: int) -> Loss:
    """The value of `importance_weighted_loss` with this gradient.

    Raises:
      ValueError: no samples.
    """
    require_samples(samples)

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        (centre, log_variance), encoder = vae.encode(networks, context.batch, train=True)
        latent = centre + jnp.exp(log_variance / 2) * draw_noise(context.key, samples, centre.shape)

        def terms(networks: Networks, latent: Array) -> tuple[Array, Array, Networks]:
            dist_params, decoder = vae.decode(
                networks, latent, *conditioning(vae.conditions, context.batch), train=True
            )
            posterior = gaussian_log_density(latent, stop(centre), stop(log_variance)).sum(-1)
            ratio = posterior - vae.prior.log_prob(networks, vae.encoder, latent)
            return vae.likelihood.log_prob(dist_params, context.batch["image"]), ratio, decoder

        likelihood, ratio, decoder = terms(networks, stop(latent))
        through_latents, other_ratio, _ = terms(stop(networks), latent)
        shares = stop(jax.nn.softmax(likelihood - ratio, axis=0))
        surrogate = shares * (likelihood - ratio) + jnp.square(shares) * (through_latents - other_ratio)
        surrogate = -surrogate.sum(0).mean()
        value = stop(-log_mean_exp(likelihood - ratio).mean()) + surrogate - stop(surrogate)
        return value, Aux(bound_metrics(likelihood, ratio), {"encoder": encoder, "decoder": decoder})

    return loss
