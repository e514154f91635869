"""Diffusion in the latent space of an autoencoder: Rombach et al. (2022), https://arxiv.org/abs/2112.10752.

A `Diffusion` of latent maps [B, h, w, E] in place of images.  Its schedules suppose data of about unit variance, so the
maps are standardised, with the mean m and the standard deviation s of each channel over images and positions:

    (1) x_0 = (encode(image) - m) / s,     image = decode(m + s x_0)        appendix G, where m = 0

`on_latents`, `decoded` and `decoded_controls` wrap the losses, the sampler and the controls of any `Diffusion`.  The
autoencoder trains first and is frozen then:

    vae, autoencoder = map_vae(spec)
    flow = chain(denoiser=minimize(on_latents(denoising_loss(model), autoencoder), ...))
    update = autoencoder_first(5_000, vae, autoencoder, flow)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.batch import mean_over_devices
from jaxgen.core.condition import Fields
from jaxgen.core.controls import Controls
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Update, Variables
from jaxgen.core.update import chain, minimize, phases
from jaxgen.losses import gaussian
from jaxgen.models.autoregressive.vqvae import VQVAE, embeddings_of, nearest
from jaxgen.models.diffusion.model import LATENT
from jaxgen.models.vae.model import VAE, elbo_loss
from jaxgen.nets import FromMap, MapDecoder, MapEncoder, MapPosterior, forward

LEAST_VARIANCE = 1e-6
"""The least variance to divide by: that of a channel may vanish."""


class Autoencoder(NamedTuple):
    """An encoder and a decoder between images float32 [B, H, W, C] in [-1, 1] and latent maps [B, h, w, E].

    `maps` is the size [h, w, E].  The moments of the maps are a network without parameters, called `name`.
    """

    encoder: Callable[[Networks, Array], Array]
    decoder: Callable[[Networks, Array], Array]
    maps: ImageSpec
    name: str = "moments"

    def init(self) -> dict[str, Variables]:
        """The moments before training: means of 0 and variances of 1."""
        channels = self.maps.channels
        return {self.name: {"averages": {"mean": jnp.zeros(channels), "square": jnp.ones(channels)}}}

    def encode(self, networks: Networks, images: Array) -> Array:
        """Encodes images as standardised maps, (1).

        Raises:
          ValueError: the encoder's maps are not of the size `maps`.
        """
        encoded = self.encoder(networks, images)
        if encoded.shape[1:] != self.maps:
            raise ValueError(f"The encoder makes maps {list(encoded.shape[1:])}; expected {list(self.maps)}.")
        mean, std = self._moments(networks)
        return (encoded - mean) / std

    def decode(self, networks: Networks, maps: Array) -> Array:
        """Decodes standardised maps to images, (1)."""
        mean, std = self._moments(networks)
        return self.decoder(networks, mean + std * maps)

    def _moments(self, networks: Networks) -> tuple[Array, Array]:
        averages = networks[self.name]["averages"]
        variance = averages["square"] - jnp.square(averages["mean"])
        return averages["mean"], jnp.sqrt(jnp.maximum(variance, LEAST_VARIANCE))


def vae_autoencoder(vae: VAE, maps: ImageSpec) -> Autoencoder:
    """A VAE as an autoencoder: the posterior's mean, as a map, and the likelihood's mean, as an image.

    Raises:
      ValueError: the latent dimension is not that of the maps, or the VAE has conditions.
    """
    if vae.conditions or vae.latent_size != maps.height * maps.width * maps.channels:
        raise ValueError(
            f"A VAE of {vae.latent_size} latents and {len(vae.conditions)} conditions was given for maps {list(maps)}; "
            "expected one without conditions and with a latent for each element of a map."
        )

    def encode(networks: Networks, images: Array) -> Array:
        return vae.posterior.mean(vae.recognition.encode(networks, images)).reshape(-1, *maps)

    def decode(networks: Networks, maps: Array) -> Array:
        return vae.likelihood.mean(vae.decode(networks, maps.reshape(-1, vae.latent_size), train=False)[0])

    return Autoencoder(encode, decode, maps)


def map_vae(
    spec: ImageSpec, channels: int = 4, width: int = 64, dtype: jnp.dtype = jnp.float32
) -> tuple[VAE, Autoencoder]:
    """A VAE of images whose latents are maps [H/4, W/4, channels], and the same as an autoencoder.

    `width` is that of its hidden layers; pixels are normal with a standard deviation of 0.05.
    """
    maps = ImageSpec(spec.height // 4, spec.width // 4, channels)
    vae = VAE(
        encoder=MapPosterior(MapEncoder(2 * channels, width, dtype=dtype)),
        decoder=FromMap(MapDecoder(spec, width, dtype=dtype), maps),
        likelihood=gaussian(0.05),
        latent_size=maps.height * maps.width * maps.channels,
    )
    return vae, vae_autoencoder(vae, maps)


def vqvae_autoencoder(model: VQVAE, maps: ImageSpec) -> Autoencoder:
    """A VQ-VAE as an autoencoder: maps are the encoder's vectors, and the decoder begins by quantising them.

    Rombach et al. (2022), section 3.1, "VQ-reg".
    """

    def encode(networks: Networks, images: Array) -> Array:
        return forward(model.encoder, networks[model.encoder_name], images, train=False)[0]

    def decode(networks: Networks, vectors: Array) -> Array:
        codes = nearest(vectors, embeddings_of(networks[model.codebook_name]))
        return model.likelihood.mean(model.decode(networks, codes))

    return Autoencoder(encode, decode, maps)


def follow_moments(autoencoder: Autoencoder, decay: float = 0.99) -> Update:
    """Tracks the moments of the maps by moving averages over batches, which start at the first batch's."""

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


def autoencoder_first(
    n: int, vae: VAE, autoencoder: Autoencoder, flow: Update, *, learning_rate: float = 1e-3
) -> Update:
    """Trains a VAE by its ELBO on the first n steps of the run, and from then on the flow of its maps by `flow`.

    Adam's learning rate for the VAE ends at 0 as a cosine.
    """
    adam = optax.chain(
        optax.clip_by_global_norm(500.0),  # the first gradients, of thousands of nats, would diverge
        optax.adam(optax.cosine_decay_schedule(learning_rate, n)),
    )
    encoding = minimize(elbo_loss(vae), adam, wrt=(vae.encoder_name, vae.decoder_name))
    return phases(n, before=chain(autoencoder=encoding, moments=follow_moments(autoencoder)), after=flow)


def on_latents(loss: Loss, autoencoder: Autoencoder) -> Loss:
    """A loss of a `Diffusion` on the standardised maps of the batch's images.  The autoencoder has no gradient."""

    def encoded(networks: Networks, context: Context) -> tuple[Array, Aux]:
        maps = jax.lax.stop_gradient(autoencoder.encode(networks, to_float(context.batch["image"])))
        return loss(networks, context._replace(batch={**context.batch, LATENT: maps}))

    return encoded


def decoded(sampler: Sampler, autoencoder: Autoencoder) -> Sampler:
    """A sampler that decodes the maps of another one."""

    def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
        return autoencoder.decode(networks, sampler.draw(networks, keys, fields))

    return Sampler(draw, sampler.conditions)


def decoded_controls(
    controls: Callable[[Networks], Controls], autoencoder: Autoencoder
) -> Callable[[Networks], Controls]:
    """Controls that decode the maps of others, and encode images; the latents are the noise that maps start from."""

    def of_images(networks: Networks) -> Controls:
        of_maps = controls(networks)

        def generate(codes: Array, latents: Array, fields: Fields) -> Array:
            return autoencoder.decode(networks, of_maps.generate(codes, latents, fields))

        def encode(images: Array, fields: Fields) -> Array:
            assert of_maps.encode is not None  # a Diffusion's controls have it
            return of_maps.encode(autoencoder.encode(networks, images), fields)

        return of_maps._replace(generate=generate, encode=encode)

    return of_images
