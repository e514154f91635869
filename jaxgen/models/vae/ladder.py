"""Hierarchical variational autoencoders with top-down inference.

Sønderby et al. (2016), https://arxiv.org/abs/1602.02282.  The posterior networks are part of the decoder.  `elbo_loss`
and `importance_weighted_loss` apply to it unchanged.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.condition import Fields
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.objective import stream
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Batch, Context, Networks, Variables
from jaxgen.losses import Likelihood, gaussian_kl, gaussian_log_density, require_num_params
from jaxgen.models.vae.model import Inference, draw_noise
from jaxgen.nets import LadderDecoder, LadderEncoder, forward


class LadderVAE(NamedTuple):
    """An encoder from images to features, and a decoder with groups of latents at several sizes."""

    encoder: LadderEncoder
    decoder: LadderDecoder
    likelihood: Likelihood
    encoder_name: str = "encoder"
    decoder_name: str = "decoder"

    def init(self, key: Array, spec: ImageSpec) -> dict[str, Variables]:
        """The variables of both networks for images of a size.

        Raises:
          ValueError: the decoder's outputs do not parametrise the likelihood.
        """
        encoder, decoder = jax.random.split(key)
        image = jnp.full((1, *spec), -1.0)
        features, encoder = self.encoder.init_with_output(encoder, image, train=False)
        noise = tuple(jnp.zeros((len(image), *shape)) for shape in self.decoder.latents)
        (dist_params, _), variables = self.decoder.init_with_output(decoder, noise, features, train=False)
        require_num_params(self.likelihood, dist_params, image.shape[-1])
        return {self.encoder_name: encoder, self.decoder_name: variables}

    def infer(
        self,
        networks: Networks,
        context: Context,
        samples: int = 1,
        *,
        train: bool = True,
        keep: Array | None = None,
    ) -> Inference:
        """The terms of a bound for a batch with `samples` draws of all latents, or with those at `keep` [m, B]."""
        images = context.batch["image"]
        inner, outer = (stream(context, name).key for name in ("encoder", "decoder"))
        features, encoder = forward(self.encoder, networks[self.encoder_name], to_float(images), train=train, key=inner)
        keys = jax.random.split(context.key, len(self.decoder.latents))
        noise = tuple(
            draw_noise(key, samples, (len(images), *shape), keep)
            for key, shape in zip(keys, self.decoder.latents, strict=True)
        )
        count = len(noise[0])
        apart = jax.tree.map(lambda array: jnp.broadcast_to(array, (count, *array.shape)), features)
        flat = jax.tree.map(lambda array: array.reshape(-1, *array.shape[2:]), (noise, apart))
        (dist_params, groups), decoder = forward(
            self.decoder, networks[self.decoder_name], *flat, train=train, key=outer
        )

        def by_image(array: Array) -> Array:
            return array.reshape(count, -1, *array.shape[1:])

        def total(array: Array) -> Array:
            return by_image(array).sum(tuple(range(2, array.ndim + 1)))

        posterior = sum(total(gaussian_log_density(g.latent, g.mean, g.log_variance)) for g in groups)
        prior = sum(total(gaussian_log_density(g.latent, g.prior_mean, g.prior_log_variance)) for g in groups)
        kl = [total(gaussian_kl(g.mean, g.log_variance, g.prior_mean, g.prior_log_variance)) for g in groups]
        return Inference(
            log_likelihood=self.likelihood.log_prob(by_image(dist_params), images),
            log_ratio=jnp.asarray(posterior - prior),
            kl=jnp.stack(kl, axis=-1),
            changes={self.encoder_name: encoder, self.decoder_name: decoder},
        )

    def reconstruct(self, networks: Networks, batch: Batch) -> Array:
        """The likelihood's means [B, H, W, C] at the posteriors' means, each conditioned on those above it."""
        images = batch["image"]
        features, _ = forward(self.encoder, networks[self.encoder_name], to_float(images), train=False)
        noise = tuple(jnp.zeros((len(images), *shape)) for shape in self.decoder.latents)
        (dist_params, _), _ = forward(self.decoder, networks[self.decoder_name], noise, features, train=False)
        return self.likelihood.mean(dist_params)

    def sampler(self) -> Sampler:
        """Draws all latents from the prior and images as the likelihood's means."""

        def draw_images(networks: Networks, keys: Array, fields: Fields) -> Array:  # noqa: ARG001
            def draw(key: Array) -> tuple[Array, ...]:
                streams = jax.random.split(key, len(self.decoder.latents))
                return tuple(map(jax.random.normal, streams, self.decoder.latents))

            (dist_params, _), _ = forward(self.decoder, networks[self.decoder_name], jax.vmap(draw)(keys), train=False)
            return self.likelihood.mean(dist_params)

        return Sampler(draw_images)
