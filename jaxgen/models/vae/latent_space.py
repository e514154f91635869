"""Pictures of a latent space, for `Recipe.pictures`: images uint8 [rows, columns, H, W, C]."""

import jax
import jax.numpy as jnp

from jaxgen.core.condition import conditioning
from jaxgen.core.image import to_uint8
from jaxgen.core.types import Array, Batch, Networks
from jaxgen.losses import gaussian_kl
from jaxgen.models.vae.model import VAE

EXTREME = 0.02
"""Of the prior's probability, on each side, that is not in a map."""


def reconstructions(model, networks: Networks, batch: Batch, *, rows: int = 4, columns: int = 8) -> Array:
    """Images in every other row, and below each what the model makes of it."""
    columns = min(columns, len(batch["image"]))
    count = min(rows * columns, len(batch["image"]) // columns * columns)
    some = {name: array[:count] for name, array in batch.items()}
    pairs = some["image"], to_uint8(model.reconstruct(networks, some))
    given, made = (jnp.asarray(images).reshape(-1, columns, *images.shape[1:]) for images in pairs)
    return jnp.stack([given, made], axis=1).reshape(-1, *given.shape[1:])


def image_interpolations(vae: VAE, networks: Networks, batch: Batch, *, rows: int = 8, columns: int = 10) -> Array:
    """A row for each of some pairs of images: on the straight way between their latents."""
    rows = min(rows, max(1, len(batch["image"]) // 2))
    (means, _), _ = vae.encode(networks, batch, train=False)
    ways = jnp.linspace(0.0, 1.0, columns)[None, :, None]
    latents = means[:rows, None] * (1 - ways) + means[-rows:, None] * ways
    return drawn(vae, networks, latents, batch, rows)


def latent_map(vae: VAE, networks: Networks, batch: Batch, *, side: int = 20) -> Array:
    """The plane of the two latents that tell most: even steps in the prior's probability, other latents 0.

    Which two, the mean divergence of the posteriors of the batch from the prior says.

    Raises:
      ValueError: the VAE has one latent.
    """
    if vae.latent_size < 2:
        raise ValueError("latent_map was given a VAE with one latent; a plane needs two.")
    (means, log_variances), _ = vae.encode(networks, batch, train=False)
    divergence = gaussian_kl(means, log_variances).mean(0)
    _, axes = jax.lax.top_k(divergence, 2)
    places = jax.scipy.stats.norm.ppf(jnp.linspace(EXTREME, 1 - EXTREME, side))
    down, right = jnp.meshgrid(places, places, indexing="ij")
    latents = jnp.zeros((side, side, vae.latent_size)).at[..., axes[0]].set(down).at[..., axes[1]].set(right)
    return drawn(vae, networks, latents, batch, side)


def drawn(vae: VAE, networks: Networks, latents: Array, batch: Batch, rows: int) -> Array:
    """The images at latents [rows, columns, Z]; row i is given the condition of example i."""
    condition = [array[jnp.arange(rows) % len(array), None] for array in conditioning(vae.conditions, batch)]
    return to_uint8(vae.likelihood.mean(vae.decode(networks, latents, *condition, train=False)[0]))
