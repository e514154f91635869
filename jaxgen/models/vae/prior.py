"""Priors of latents.

    (1) standard normal    p(z) = N(z; 0, 1)
    (2) VampPrior          p(z) = 1/K sum_k q(z | u_k)

where q is the encoder and the u_k are K pseudo-inputs, images that are learned.  Tomczak and Welling (2018),
https://arxiv.org/abs/1705.07120, equation (9).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array, Networks, Variables
from jaxgen.losses import gaussian_kl, gaussian_log_densities, gaussian_log_density
from jaxgen.nets import Module, forward


class Prior(NamedTuple):
    """A distribution of latents [..., Z]; the networks and the encoder are there for those that need them.

    `log_prob` is [...]; `kl` of a normal posterior by dimension or in one, given its mean and log variance [B, Z] and
    latents [k, B, Z], is [k or 1, B, Z or 1]; `sample` takes one key and Z.  A prior that `is_learned` has a network.
    """

    init: Callable[[Array, Array], Mapping[str, Variables]]
    log_prob: Callable[[Networks, Module, Array], Array]
    kl: Callable[[Networks, Module, Array, Array, Array], Array]
    sample: Callable[[Networks, Module, Array, int], Array]
    is_learned: bool = False


def standard_normal() -> Prior:
    """The prior (1), whose divergence has a closed form."""
    return Prior(
        init=lambda *_: {},
        log_prob=lambda *given: gaussian_log_density(given[-1]).sum(-1),
        kl=lambda _networks, _encoder, mean, log_variance, _latent: gaussian_kl(mean, log_variance)[None],
        sample=lambda _networks, _encoder, key, size: jax.random.normal(key, (size,)),
    )


def vamp_prior(components: int) -> Prior:
    """The prior (2) with so many pseudo-inputs: the network "prior".

    Raises:
      ValueError: no components.
    """
    if components < 1:
        raise ValueError(f"vamp_prior was given {components} components; expected at least 1.")

    def init(key: Array, image: Array) -> dict[str, Variables]:
        # Almost flat, about black: the encoder tells apart what it can.
        return {"prior": {"params": {"logits": jax.random.normal(key, (components, *image.shape[1:])) - 2}}}

    def posteriors(networks: Networks, encoder: Module) -> tuple[Array, Array]:
        pseudo_inputs = jnp.tanh(networks["prior"]["params"]["logits"])
        return forward(encoder, networks["encoder"], pseudo_inputs, train=False)[0]

    def log_prob(networks: Networks, encoder: Module, latent: Array) -> Array:
        per_component = gaussian_log_densities(latent, *posteriors(networks, encoder))
        return jax.nn.logsumexp(per_component, axis=-1) - jnp.log(components)

    def kl(networks: Networks, encoder: Module, mean: Array, log_variance: Array, latent: Array) -> Array:
        log_posterior = gaussian_log_density(latent, mean, log_variance).sum(-1)
        return (log_posterior - log_prob(networks, encoder, latent))[..., None]

    def sample(networks: Networks, encoder: Module, key: Array, size: int) -> Array:
        choice, noise = jax.random.split(key)
        means, log_variances = posteriors(networks, encoder)
        index = jax.random.randint(choice, (), 0, components)
        return means[index] + jnp.exp(log_variances[index] / 2) * jax.random.normal(noise, (size,))

    return Prior(init, log_prob, kl, sample, is_learned=True)
