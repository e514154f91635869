"""Priors of latents.

    (1) standard normal    p(z) = N(z; 0, 1)
    (2) VampPrior          p(z) = 1/K sum_k q(z | u_k)

where q is the posterior and the u_k are K pseudo-inputs, images that are learned.  Tomczak and Welling (2018),
https://arxiv.org/abs/1705.07120, equation (9).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array, Networks, Variables
from jaxgen.losses import gaussian_log_density
from jaxgen.models.vae.posterior import Params, Posterior


class Recognition(NamedTuple):
    """The recognition model q(z | x): networks and images float32 [B, H, W, C] to parameters of a posterior."""

    encode: Callable[[Networks, Array], Params]
    posterior: Posterior


class Prior(NamedTuple):
    """A distribution of latents [..., Z], which may read the networks and the recognition model."""

    init: Callable[[Array, Array], Mapping[str, Variables]]
    """A key and images float32 [B, H, W, C] to the prior's own networks."""
    log_prob: Callable[[Networks, Recognition, Array], Array]
    """Latents [..., Z] to log p [...], in nats."""
    kl: Callable[[Networks, Recognition, Params, Array], Array]
    """Parameters of posteriors and latents [k, B, Z] to the divergence, by dimension or summed: [k or 1, B, Z or 1]."""
    sample: Callable[[Networks, Recognition, Array, int], Array]
    """A key and Z to a latent [Z]."""
    is_learned: bool = False


def standard_normal() -> Prior:
    """The prior (1), from which a posterior's divergence has a closed form."""
    return Prior(
        init=lambda *_: {},
        log_prob=lambda _networks, _recognition, latent: gaussian_log_density(latent).sum(-1),
        kl=lambda _networks, recognition, params, _latent: recognition.posterior.kl(params)[None],
        sample=lambda _networks, _recognition, key, size: jax.random.normal(key, (size,)),
    )


def vamp_prior(components: int, *, name: str = "prior") -> Prior:
    """The prior (2) with K = `components` pseudo-inputs, which are the network `name`.

    Raises:
      ValueError: no components.
    """
    if components < 1:
        raise ValueError(f"vamp_prior was given {components} components; expected at least 1.")

    def init(key: Array, image: Array) -> dict[str, Variables]:
        # Almost uniform and nearly black: training separates them.
        return {name: {"params": {"logits": jax.random.normal(key, (components, *image.shape[1:])) - 2}}}

    def posteriors(networks: Networks, recognition: Recognition) -> Params:
        return recognition.encode(networks, jnp.tanh(networks[name]["params"]["logits"]))

    def log_prob(networks: Networks, recognition: Recognition, latent: Array) -> Array:
        per_component = recognition.posterior.log_densities(posteriors(networks, recognition), latent)
        return jax.nn.logmeanexp(per_component, axis=-1)

    def kl(networks: Networks, recognition: Recognition, params: Params, latent: Array) -> Array:
        log_posterior = recognition.posterior.log_prob(params, latent).sum(-1)
        return (log_posterior - log_prob(networks, recognition, latent))[..., None]

    def sample(networks: Networks, recognition: Recognition, key: Array, size: int) -> Array:
        choice, noise = jax.random.split(key)
        params = posteriors(networks, recognition)
        index = jax.random.randint(choice, (), 0, components)
        chosen = jax.tree.map(lambda array: array[index], params)
        return recognition.posterior.sample(chosen, jax.random.normal(noise, (size,)))

    return Prior(init, log_prob, kl, sample, is_learned=True)
