"""Variational autoencoders.  Kingma and Welling (2014), https://arxiv.org/abs/1312.6114.

The networks are called "encoder", q(z | x), and "decoder", p(x | z); a learned prior p(z) is called "prior".  With k
latents from q,

    (1) evidence lower bound           E[log p(x | z)] - KL(q(z | x) || p(z))
    (2) importance-weighted bound      log 1/k sum_i w_i,    w = p(x | z) p(z) / q(z | x)

both at most log p(x), and (2) the closer the larger k is.  A model of these losses has `infer`, as here; one of which
pictures are made has `reconstruct` too.
Everything is in nats an image, summed over pixels.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.batch import devices, mean_over_devices, shard_batch
from jaxgen.core.condition import Conditions, conditioning, example_conditioning
from jaxgen.core.image import to_float
from jaxgen.core.metrics import mean
from jaxgen.core.objective import stream
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Batch, Context, Loss, Networks, Variables
from jaxgen.losses import Likelihood, gaussian_log_density, require_num_params
from jaxgen.core.sampler import image_keys
from jaxgen.models.latents.controls import Controls
from jaxgen.models.vae.prior import Prior, standard_normal
from jaxgen.nets import Module, dense_outputs, forward


class Inference(NamedTuple):
    """What a model says of images with k latents each.

    `log_likelihood` is log p(x | z), `log_ratio` log q(z | x) / p(z), both [k, B]; `kl` is KL(q || p) by dimension or
    group of latents [k, B, D], in closed form where there is one, whose sum `log_ratio` is in expectation.
    """

    log_likelihood: Array
    log_ratio: Array
    kl: Array
    changes: Networks

    @property
    def log_weights(self) -> Array:
        """The logarithms [k, B] of w in (2)."""
        return self.log_likelihood - self.log_ratio


class VAE(NamedTuple):
    """An encoder of images to the mean and log variance [B, Z] of latents, and a decoder to a likelihood's numbers."""

    encoder: Module
    decoder: Module
    likelihood: Likelihood
    latent_size: int
    prior: Prior = standard_normal()
    conditions: Conditions = {}

    def init(self, key: Array, batch: Batch) -> dict[str, Variables]:
        """All networks' variables; `batch` shows what an example is.

        Raises:
          ValueError: the decoder gives the likelihood too few or too many numbers, a learned prior is to be told
            something, which it cannot, or the networks are to be told whole images.
        """
        if self.condition is not None and (self.prior.is_learned or self.condition.field == "image"):
            raise ValueError("A VAE is told labels, features or words, and then its prior is standard_normal().")
        encoder, decoder, prior = jax.random.split(key, 3)
        condition = conditioning(self.conditions, batch)
        image = to_float(batch["image"])
        latent = jnp.zeros((len(image), self.latent_size))
        dist_params, variables = self.decoder.init_with_output(decoder, latent, *condition, train=False)
        require_num_params(self.likelihood, dist_params, image.shape[-1])
        return {
            "encoder": self.encoder.init(encoder, image, *condition, train=False),
            "decoder": variables,
            **self.prior.init(prior, image),
        }

    def encode(
        self, networks: Networks, batch: Batch, *, train: bool, key: Array | None = None
    ) -> tuple[tuple[Array, Array], Variables]:
        """The mean and log variance [B, Z] of the latents of a batch, and the encoder's changed collections."""
        given = to_float(batch["image"]), *conditioning(self.conditions, batch)
        return forward(self.encoder, networks["encoder"], *given, train=train, key=key)

    def decode(
        self, networks: Networks, latent: Array, *condition: Array, train: bool, key: Array | None = None
    ) -> tuple[Array, Variables]:
        """The likelihood's numbers [..., H, W, P] for latents [..., Z], and the decoder's changed collections."""
        flat = latent.reshape(-1, latent.shape[-1])
        given = [jnp.broadcast_to(c, (*latent.shape[:-1], c.shape[-1])).reshape(flat.shape[0], -1) for c in condition]
        dist_params, changes = forward(self.decoder, networks["decoder"], flat, *given, train=train, key=key)
        return dist_params.reshape(*latent.shape[:-1], *dist_params.shape[1:]), changes

    def infer(
        self,
        networks: Networks,
        context: Context,
        samples: int = 1,
        *,
        train: bool = True,
        keep: Array | None = None,
    ) -> Inference:
        """What the model says of a batch with `samples` latents an image, or with those of them at `keep` [m, B]."""
        keys = [stream(context, name).key for name in ("encoder", "decoder")]
        (centre, log_variance), encoder = self.encode(networks, context.batch, train=train, key=keys[0])
        noise = draw_noise(context.key, samples, centre.shape, keep)
        latent = centre + jnp.exp(log_variance / 2) * noise
        condition = conditioning(self.conditions, context.batch)
        dist_params, decoder = self.decode(networks, latent, *condition, train=train, key=keys[1])
        log_posterior = gaussian_log_density(latent, centre, log_variance)
        kl = self.prior.kl(networks, self.encoder, centre, log_variance, latent)
        return Inference(
            log_likelihood=self.likelihood.log_prob(dist_params, context.batch["image"]),
            log_ratio=log_posterior.sum(-1) - self.prior.log_prob(networks, self.encoder, latent),
            kl=jnp.broadcast_to(kl, (len(latent), *kl.shape[1:])),
            changes={"encoder": encoder, "decoder": decoder},
        )

    def reconstruct(self, networks: Networks, batch: Batch) -> Array:
        """The likelihood's means [B, H, W, C] at the posterior's means."""
        (centre, _), _ = self.encode(networks, batch, train=False)
        return self.likelihood.mean(
            self.decode(networks, centre, *conditioning(self.conditions, batch), train=False)[0]
        )

    def sampler(self) -> Sampler:
        """The function from networks, typed keys [B] and the condition's field [B, ...] if there is one to images.

        They are the likelihood's means at latents from the prior.
        """

        def sample(networks: Networks, keys: Array, *field: Array) -> Array:
            latent = jax.vmap(lambda key: self.prior.sample(networks, self.encoder, key, self.latent_size))(keys)
            dist_params, _ = self.decode(networks, latent, *conditioning(self.conditions, fields), train=False)
            return self.likelihood.mean(dist_params)

        return sample

    def controls(self, networks: Networks) -> Controls:
        """What can be steered of the decoder; codes are latents, [N, 1, Z]."""

        def draw(seed: Array, index: Array) -> Array:
            keys = image_keys(seed, index)
            return jax.vmap(lambda key: self.prior.sample(networks, self.encoder, key, self.latent_size))(keys)

        def generate(codes: Array, latents: Array, *field: Array) -> Array:  # noqa: ARG001
            dist_params, _ = self.decode(networks, codes[:, 0], *conditioning(self.conditions, fields), train=False)
            return self.likelihood.mean(dist_params)

        def first_layer(codes: Array) -> Array:
            condition = example_conditioning(self.conditions, codes.shape[0])
            return dense_outputs(self.decoder, networks["decoder"], codes[:, 0], *condition, train=False)[0]

        def encode(images: Array, *field: Array) -> Array:
            given = images, *conditioning(self.conditions, fields)
            return forward(self.encoder, networks["encoder"], *given, train=False)[0][0]

        return Controls(draw, lambda latents, *_: latents[:, None], generate, first_layer, encode=encode)


def elbo_loss(model, *, beta: float | optax.Schedule = 1.0, free_bits: float = 0.0, samples: int = 1) -> Loss:
    """The negative of (1), averaged over the batch.

    `beta`, a number or a schedule of the step, weighs the divergence: Higgins et al. (2017),
    https://openreview.net/forum?id=Sy2fzU9gl.  Each dimension's (or group's) mean divergence below `free_bits` nats
    costs as much as that: Kingma et al. (2016), https://arxiv.org/abs/1606.04934, equation (15).  The metrics are of
    (1) itself.

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
        return weight * charged - inferred.log_likelihood.mean(), Aux(metrics, inferred.changes)

    return loss


def importance_weights(model, networks: Networks) -> Callable[[Array, Array, int], Array]:
    """The function from images uint8 [B, H, W, C], a key and k to log w [k, B] of (2)."""

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


def bound_metrics(log_likelihood: Array, divergence: Array) -> dict:
    """The terms of (1) and its negative, in nats an image."""
    return {
        "distortion": mean(-log_likelihood),
        "rate": mean(divergence),
        "negative_elbo": mean(divergence - log_likelihood),
    }


def log_mean_exp(values: Array) -> Array:
    """Log of the mean of exp over the first axis, without overflow."""
    return jax.nn.logsumexp(values, axis=0) - jnp.log(len(values))


def draw_noise(key: Array, samples: int, shape: tuple[int, ...], keep: Array | None = None) -> Array:
    """Standard normal [samples, B, ...] for a device's share [B, ...] of a batch, drawn for the whole batch.

    Of these [m, B, ...] are taken where indices `keep` [m, B] are given.
    """
    noise = jax.random.normal(key, (devices() * shape[0], samples, *shape[1:]))
    noise = jnp.moveaxis(shard_batch(noise), 1, 0)
    return noise if keep is None else noise[keep, jnp.arange(shape[0])]
