"""Variational autoencoders.  Kingma and Welling (2014), https://arxiv.org/abs/1312.6114.

An encoder parametrises the posterior q(z | x), a decoder the likelihood p(x | z); p(z) is the prior.  With k latents
from q,

    (1) evidence lower bound           E[log p(x | z)] - KL(q(z | x) || p(z))
    (2) importance-weighted bound      E[log 1/k sum_i w_i],    w = p(x | z) p(z) / q(z | x)

Both are lower bounds on log p(x), and (2) tightens as k grows.  Everything is in nats per image, summed over pixels.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.batch import draw_batch, mean_over_devices
from jaxgen.core.condition import Conditions, Fields, conditioning, example_conditioning
from jaxgen.core.controls import Controls
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.metrics import Mean, mean
from jaxgen.core.objective import stream
from jaxgen.core.sampler import Sampler, image_keys
from jaxgen.core.types import Array, Aux, Batch, Context, Loss, Networks, Variables
from jaxgen.losses import Likelihood, require_num_params
from jaxgen.models.vae.posterior import Params, Posterior, diagonal_gaussian
from jaxgen.models.vae.prior import Prior, Recognition, standard_normal
from jaxgen.nets import Module, dense_outputs, forward


class Inference(NamedTuple):
    """The terms of a bound for images with k latents each.

    `log_likelihood` is log p(x | z) and `log_ratio` is log q(z | x) / p(z), both [k, B].  `kl` is KL(q || p) by
    dimension or group of latents [k, B, D], in closed form if there is one; its sum is `log_ratio` in expectation.
    """

    log_likelihood: Array
    log_ratio: Array
    kl: Array
    changes: Networks

    @property
    def log_weights(self) -> Array:
        """The logarithms [k, B] of w in (2)."""
        return self.log_likelihood - self.log_ratio


class LatentModel(Protocol):
    """A model whose bounds are trained: a VAE or a hierarchy."""

    def infer(
        self, networks: Networks, context: Context, samples: int = 1, *, train: bool = True, keep: Array | None = None
    ) -> Inference:
        """The terms of a bound for a batch with `samples` latents per image, or with those at `keep` [m, B]."""
        ...


class Encoded(NamedTuple):
    """Latents [k, B, Z] from the posterior of a batch, its parameters, and the encoder's mutated collections.

    `decode` takes networks and latents to the likelihood's parameters and the decoder's mutated collections.
    """

    params: Params
    latents: Array
    changes: Variables
    decode: Callable[[Networks, Array], tuple[Array, Variables]]


class VAE(NamedTuple):
    """An encoder from images to a posterior's parameters, and a decoder from latents [B, Z] to a likelihood's."""

    encoder: Module
    decoder: Module
    likelihood: Likelihood
    latent_size: int
    prior: Prior = standard_normal()
    posterior: Posterior = diagonal_gaussian()
    conditions: Conditions = {}
    encoder_name: str = "encoder"
    decoder_name: str = "decoder"

    @property
    def recognition(self) -> Recognition:
        """The encoder and the posterior, as a prior reads them."""

        def encode(networks: Networks, images: Array) -> Params:
            return forward(self.encoder, networks[self.encoder_name], images, train=False)[0]

        return Recognition(encode, self.posterior)

    def init(self, key: Array, spec: ImageSpec) -> dict[str, Variables]:
        """The variables of all networks for images of a size.

        Raises:
          ValueError: the decoder's outputs do not parametrise the likelihood, a learned prior has conditions, or a
            condition is an image.
        """
        if self.conditions and (self.prior.is_learned or "image" in self.conditions):
            raise ValueError(
                "A VAE's conditions are labels, features or text, and its prior is then standard_normal()."
            )
        encoder, decoder, prior = jax.random.split(key, 3)
        condition, image = example_conditioning(self.conditions), jnp.full((1, *spec), -1.0)
        latent = jnp.zeros((1, self.latent_size))
        dist_params, variables = self.decoder.init_with_output(decoder, latent, *condition, train=False)
        require_num_params(self.likelihood, dist_params, spec.channels)
        return {
            self.encoder_name: self.encoder.init(encoder, image, *condition, train=False),
            self.decoder_name: variables,
            **self.prior.init(prior, image),
        }

    def encode(
        self, networks: Networks, batch: Batch, *, train: bool, key: Array | None = None
    ) -> tuple[Params, Variables]:
        """The posterior's parameters for a batch, and the encoder's mutated collections."""
        inputs = to_float(batch["image"]), *conditioning(self.conditions, batch)
        return forward(self.encoder, networks[self.encoder_name], *inputs, train=train, key=key)

    def decode(
        self, networks: Networks, latent: Array, *condition: Array, train: bool, key: Array | None = None
    ) -> tuple[Array, Variables]:
        """The likelihood's parameters [..., H, W, P] for latents [..., Z], and the decoder's mutated collections."""
        flat = latent.reshape(-1, latent.shape[-1])
        inputs = [jnp.broadcast_to(c, (*latent.shape[:-1], c.shape[-1])).reshape(flat.shape[0], -1) for c in condition]
        dist_params, changes = forward(self.decoder, networks[self.decoder_name], flat, *inputs, train=train, key=key)
        return dist_params.reshape(*latent.shape[:-1], *dist_params.shape[1:]), changes

    def sample_posterior(
        self, networks: Networks, context: Context, samples: int = 1, *, train: bool = True, keep: Array | None = None
    ) -> Encoded:
        """Latents from the posterior of a batch, `samples` an image or those of them at `keep` [m, B]."""
        encoder_key, decoder_key = (stream(context, name).key for name in ("encoder", "decoder"))
        params, changes = self.encode(networks, context.batch, train=train, key=encoder_key)
        noise = draw_noise(context.key, samples, (len(context.batch["image"]), self.latent_size), keep)
        condition = conditioning(self.conditions, context.batch)

        def decode(networks: Networks, latents: Array) -> tuple[Array, Variables]:
            return self.decode(networks, latents, *condition, train=train, key=decoder_key)

        return Encoded(params, self.posterior.sample(params, noise), changes, decode)

    def infer(
        self, networks: Networks, context: Context, samples: int = 1, *, train: bool = True, keep: Array | None = None
    ) -> Inference:
        """The terms of a bound for a batch with `samples` latents per image, or with those at `keep` [m, B]."""
        encoded = self.sample_posterior(networks, context, samples, train=train, keep=keep)
        dist_params, decoder = encoded.decode(networks, encoded.latents)
        log_posterior = self.posterior.log_prob(encoded.params, encoded.latents)
        kl = self.prior.kl(networks, self.recognition, encoded.params, encoded.latents)
        return Inference(
            log_likelihood=self.likelihood.log_prob(dist_params, context.batch["image"]),
            log_ratio=log_posterior.sum(-1) - self.prior.log_prob(networks, self.recognition, encoded.latents),
            kl=jnp.broadcast_to(kl, (len(encoded.latents), *kl.shape[1:])),
            changes={self.encoder_name: encoded.changes, self.decoder_name: decoder},
        )

    def reconstruct(self, networks: Networks, batch: Batch) -> Array:
        """The likelihood's means [B, H, W, C] at the posterior's means."""
        params, _ = self.encode(networks, batch, train=False)
        condition = conditioning(self.conditions, batch)
        return self.likelihood.mean(self.decode(networks, self.posterior.mean(params), *condition, train=False)[0])

    def _draw_latents(self, networks: Networks, keys: Array) -> Array:
        return jax.vmap(lambda key: self.prior.sample(networks, self.recognition, key, self.latent_size))(keys)

    def sampler(self) -> Sampler:
        """Draws latents from the prior and images as the likelihood's means."""

        def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
            latents = self._draw_latents(networks, keys)
            dist_params, _ = self.decode(networks, latents, *conditioning(self.conditions, fields), train=False)
            return self.likelihood.mean(dist_params)

        return Sampler(draw, self.conditions)

    def controls(self, networks: Networks) -> Controls:
        """The controls of the decoder; codes are latents, [N, 1, Z]."""

        def draw(seed: Array, index: Array) -> Array:
            return self._draw_latents(networks, image_keys(seed, index))

        def generate(codes: Array, latents: Array, fields: Fields) -> Array:  # noqa: ARG001
            condition = conditioning(self.conditions, fields)
            return self.likelihood.mean(self.decode(networks, codes[:, 0], *condition, train=False)[0])

        def first_layer(codes: Array) -> Array:
            condition = example_conditioning(self.conditions, codes.shape[0])
            return dense_outputs(self.decoder, networks[self.decoder_name], codes[:, 0], *condition, train=False)[0]

        def encode(images: Array, fields: Fields) -> Array:
            inputs = images, *conditioning(self.conditions, fields)
            return self.posterior.mean(forward(self.encoder, networks[self.encoder_name], *inputs, train=False)[0])

        return Controls(draw, lambda latents, _: latents[:, None], generate, first_layer, encode=encode)


def elbo_loss(
    model: LatentModel, *, beta: float | optax.Schedule = 1.0, free_bits: float = 0.0, samples: int = 1
) -> Loss:
    """The negative of (1), averaged over the batch.

    `beta`, a number or a schedule of the step, weights the divergence: Higgins et al. (2017),
    https://openreview.net/forum?id=Sy2fzU9gl.  The mean divergence of each dimension, or group, costs at least
    `free_bits` nats: Kingma et al. (2016), https://arxiv.org/abs/1606.04934, equation (15).  The metrics are the terms
    of (1) itself.

    Raises:
      ValueError: no samples.
    """
    require_samples(samples)

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        inferred = model.infer(networks, context, samples)
        kl = inferred.kl.mean(0)
        charged = kl.sum(-1).mean()
        if free_bits:
            charged = jnp.maximum(mean_over_devices(kl.mean(0)), free_bits).sum()
        weight = beta(context.step) if callable(beta) else beta
        metrics = bound_metrics(inferred.log_likelihood, kl.sum(-1))
        value = jnp.asarray(weight * charged - inferred.log_likelihood.mean())
        return value, Aux(metrics, inferred.changes)

    return loss


def importance_weights(model: LatentModel, networks: Networks) -> Callable[[Array, Array, int], Array]:
    """A function from images uint8 [B, H, W, C], a key and k to log w [k, B] of (2)."""

    def weigh(images: Array, key: Array, samples: int) -> Array:
        context = Context({"image": images}, key, jnp.int32(0))
        return model.infer(networks, context, samples, train=False).log_weights

    return weigh


def require_samples(samples: int) -> None:
    """Refuses a bound of no samples.

    Raises:
      ValueError: fewer than 1.
    """
    if samples < 1:
        raise ValueError(f"{samples} samples were given; expected at least 1.")


def bound_metrics(log_likelihood: Array, divergence: Array) -> dict[str, Mean]:
    """The terms of (1) and its negative, in nats per image."""
    return {
        "distortion": mean(-log_likelihood),
        "rate": mean(divergence),
        "negative_elbo": mean(divergence - log_likelihood),
    }


def draw_noise(key: Array, samples: int, shape: tuple[int, ...], keep: Array | None = None) -> Array:
    """Standard normal noise [samples, B, ...] for a shape [B, ...], or the samples [m, B, ...] at `keep` [m, B]."""
    noise = jnp.moveaxis(draw_batch(jax.random.normal, key, (shape[0], samples, *shape[1:])), 1, 0)
    return noise if keep is None else noise[keep, jnp.arange(shape[0])]
