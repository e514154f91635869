"""Pictures of a latent space, for `Recipe.pictures`: images uint8 [rows, columns, H, W, C]."""

from typing import Protocol

import jax
import jax.numpy as jnp

from jaxgen.core.condition import conditioning
from jaxgen.core.image import to_uint8
from jaxgen.core.types import Array, Batch, Networks
from jaxgen.models.latents.directions import interpolate
from jaxgen.models.vae.model import VAE


class Reconstructs(Protocol):
    """A model that reconstructs images."""

    def reconstruct(self, networks: Networks, batch: Batch) -> Array:
        """Images float32 [B, H, W, C] in [-1, 1]."""
        ...


EXTREME = 0.02
"""The prior's probability in each tail, which a map leaves out."""


def reconstructions(model: Reconstructs, networks: Networks, batch: Batch, *, rows: int = 4, columns: int = 8) -> Array:
    """Images in every other row, and below each its reconstruction."""
    columns = min(columns, len(batch["image"]))
    count = min(rows * columns, len(batch["image"]) // columns * columns)
    some = {name: array[:count] for name, array in batch.items()}
    pairs = some["image"], to_uint8(model.reconstruct(networks, some))
    originals, made = (jnp.asarray(images).reshape(-1, columns, *images.shape[1:]) for images in pairs)
    return jnp.stack([originals, made], axis=1).reshape(-1, *originals.shape[1:])


def image_interpolations(vae: VAE, networks: Networks, batch: Batch, *, rows: int = 8, columns: int = 10) -> Array:
    """A row for each of some pairs of images: linear interpolation between their posterior means."""
    rows = min(rows, max(1, len(batch["image"]) // 2))
    means = vae.posterior.mean(vae.encode(networks, batch, train=False)[0])
    latents = interpolate(means[:rows], means[-rows:], columns)
    return drawn(vae, networks, jnp.moveaxis(latents, 0, 1), batch, rows)


def latent_map(vae: VAE, networks: Networks, batch: Batch, *, side: int = 20) -> Array:
    """The plane of the two most informative latents, in even steps of the prior's probability; other latents are 0.

    The most informative latents are those whose posteriors diverge most from the prior, on average over the batch.

    Raises:
      ValueError: the VAE has one latent.
    """
    if vae.latent_size < 2:
        raise ValueError("latent_map was given a VAE with one latent; a plane needs two.")
    divergence = vae.posterior.kl(vae.encode(networks, batch, train=False)[0]).mean(0)
    _, axes = jax.lax.top_k(divergence, 2)
    places = jax.scipy.stats.norm.ppf(jnp.linspace(EXTREME, 1 - EXTREME, side))
    down, right = jnp.meshgrid(places, places, indexing="ij")
    latents = jnp.zeros((side, side, vae.latent_size)).at[..., axes[0]].set(down).at[..., axes[1]].set(right)
    return drawn(vae, networks, latents, batch, side)


def drawn(vae: VAE, networks: Networks, latents: Array, batch: Batch, rows: int) -> Array:
    """The images at latents [rows, columns, Z]; row i has the condition of example i."""
    condition = [array[jnp.arange(rows) % len(array), None] for array in conditioning(vae.conditions, batch)]
    return to_uint8(vae.likelihood.mean(vae.decode(networks, latents, *condition, train=False)[0]))
