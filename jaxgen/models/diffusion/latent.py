"""Diffusion in the latent space of an autoencoder: Rombach et al. (2022), https://arxiv.org/abs/2112.10752.

A `Diffusion` of maps [B, h, w, E] in place of images.  Its schedules suppose data of about unit variance, so the maps
are standardised by the moments m and s of each channel, over images and places:

    (1) x_0 = (encode(image) - m) / s,     image = decode(m + s x_0)        section 3.3 and appendix G, by channel

Losses, samplers and controls are those of any `Diffusion`, wrapped; the autoencoder trains before it:

    update = phases(
        5_000,
        before=chain(autoencoder=minimize(elbo_loss(vae), ...), moments=follow_moments(autoencoder)),
        after=chain(denoiser=minimize(on_latents(denoising_loss(model), autoencoder), ...)),
    )
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.batch import mean_over_devices
from jaxgen.core.condition import Fields
from jaxgen.core.controls import Controls
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Update, Variables
from jaxgen.models.autoregressive.vqvae import VQVAE, embeddings_of, nearest
from jaxgen.models.diffusion.model import LATENT
from jaxgen.models.vae.model import VAE
from jaxgen.nets import forward

LEAST_VARIANCE = 1e-6
"""A channel that the encoder leaves constant is scaled as if it had this variance."""


class Autoencoder(NamedTuple):
    """An encoder and a decoder between images float32 [B, H, W, C] in [-1, 1] and maps [B, h, w, E] of a size.

    The moments of the maps are a network without parameters, called `name`.
    """

    encoder: Callable[[Networks, Array], Array]
    decoder: Callable[[Networks, Array], Array]
    maps: ImageSpec
    name: str = "moments"

    def init(self) -> dict[str, Variables]:
        """The moments before training: those of standardised maps."""
        channels = self.maps.channels
        return {self.name: {"averages": {"mean": jnp.zeros(channels), "square": jnp.ones(channels)}}}

    def encode(self, networks: Networks, images: Array) -> Array:
        """Images to standardised maps, (1)."""
        mean, std = self._moments(networks)
        return (self.encoder(networks, images) - mean) / std

    def decode(self, networks: Networks, maps: Array) -> Array:
        """Standardised maps to images, (1)."""
        mean, std = self._moments(networks)
        return self.decoder(networks, mean + std * maps)

    def _moments(self, networks: Networks) -> tuple[Array, Array]:
        averages = networks[self.name]["averages"]
        variance = averages["square"] - jnp.square(averages["mean"])
        return averages["mean"], jnp.sqrt(jnp.maximum(variance, LEAST_VARIANCE))


def vae_autoencoder(vae: VAE, maps: ImageSpec) -> Autoencoder:
    """A VAE as an autoencoder: posterior means as maps of a size, and the likelihood's means as images.

    Raises:
      ValueError: the maps do not have as many numbers as the latents, or the VAE has conditions.
    """
    if vae.conditions or vae.latent_size != maps.height * maps.width * maps.channels:
        raise ValueError(
            f"A VAE of {vae.latent_size} latents and {len(vae.conditions)} conditions was given for maps {list(maps)}; "
            "expected one without conditions and with as many latents as a map has numbers."
        )

    def encode(networks: Networks, images: Array) -> Array:
        return vae.posterior.mean(vae.recognition.encode(networks, images)).reshape(-1, *maps)

    def decode(networks: Networks, maps: Array) -> Array:
        return vae.likelihood.mean(vae.decode(networks, maps.reshape(-1, vae.latent_size), train=False)[0])

    return Autoencoder(encode, decode, maps)


def vqvae_autoencoder(model: VQVAE, maps: ImageSpec) -> Autoencoder:
    """A VQ-VAE as an autoencoder: its vectors before they are quantised as maps; drawn ones are quantised.

    Rombach et al. (2022), section 3.1, "VQ-reg": quantisation belongs to the decoder.
    """

    def encode(networks: Networks, images: Array) -> Array:
        return forward(model.encoder, networks[model.encoder_name], images, train=False)[0]

    def decode(networks: Networks, vectors: Array) -> Array:
        codes = nearest(vectors, embeddings_of(networks[model.codebook_name]))
        return model.likelihood.mean(model.decode(networks, codes))

    return Autoencoder(encode, decode, maps)


def follow_moments(autoencoder: Autoencoder, decay: float = 0.99) -> Update:
    """The moments as moving averages over the batches, which start as the first batch's."""

    def init(networks: Networks) -> tuple[Networks, Array]:
        return {**autoencoder.init(), **networks}, jnp.zeros((), jnp.int32)

    def update(networks: Networks, seen: Array, context: Context) -> tuple[Networks, Array, dict]:
        maps = autoencoder.encoder(networks, to_float(context.batch["image"]))
        now = mean_over_devices({"mean": maps.mean((0, 1, 2)), "square": jnp.square(maps).mean((0, 1, 2))})
        keep = jnp.where(seen == 0, 0.0, decay)
        averages = networks[autoencoder.name]["averages"]
        averages = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, averages, now)
        return {**networks, autoencoder.name: {"averages": averages}}, seen + 1, {}

    return Update(init, update, owns=(autoencoder.name,))


def on_latents(loss: Loss, autoencoder: Autoencoder) -> Loss:
    """A loss of a `Diffusion` on the maps of the batch's images; the autoencoder does not move."""

    def encoded(networks: Networks, context: Context) -> tuple[Array, Aux]:
        maps = jax.lax.stop_gradient(autoencoder.encode(networks, to_float(context.batch["image"])))
        return loss(networks, context._replace(batch={**context.batch, LATENT: maps}))

    return encoded


def decoded(sampler: Sampler, autoencoder: Autoencoder) -> Sampler:
    """A sampler of images, from one of maps."""

    def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
        return autoencoder.decode(networks, sampler.draw(networks, keys, fields))

    return Sampler(draw, sampler.conditions)


def decoded_controls(
    controls: Callable[[Networks], Controls], autoencoder: Autoencoder
) -> Callable[[Networks], Controls]:
    """Controls of images, from those of maps: the latents are the noise of the maps."""

    def of_images(networks: Networks) -> Controls:
        of_maps = controls(networks)

        def generate(codes: Array, latents: Array, fields: Fields) -> Array:
            return autoencoder.decode(networks, of_maps.generate(codes, latents, fields))

        def encode(images: Array, fields: Fields) -> Array:
            assert of_maps.encode is not None  # a Diffusion's controls have it
            return of_maps.encode(autoencoder.encode(networks, images), fields)

        return of_maps._replace(generate=generate, encode=encode)

    return of_images
