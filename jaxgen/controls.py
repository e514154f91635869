"""What can be steered of a generator: pure functions with its weights inside.

Between a latent [Z] and its image there is a code [L, W], which is what directions, ways and mixtures are of: the
latent itself for most networks (L = 1), and the style of each of L layers for a style-based one.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax

from jaxgen.types import Array


class Controls(NamedTuple):
    """The parts of a generator, and of what judges and encodes its images if there is such.

    `field` is what a conditional model is told, [N, ...]; others take none.  Images are float32 [N, H, W, C], those of
    real ones in [-1, 1].
    """

    draw: Callable[[Array, Array], Array]
    """A seed uint32 [] and numbers of images int32 [N] to latents [N, Z], those of the sampler."""
    codes: Callable[..., Array]
    """(latents [N, Z], *field) to codes [N, L, W]."""
    generate: Callable[..., Array]
    """(codes [N, L, W], latents [N, Z], *field) to images; what no code says, such as noise, is of the latent."""
    first_layer: Callable[[Array], Array]
    """Codes [N, L, W] to what the layers that see them first make of them, [N, F]: affine."""
    judge: Callable[..., Array] | None = None
    """(images, *field) to a discriminator's logits [N]."""
    encode: Callable[..., Array] | None = None
    """(images, *field) to latents [N, Z]."""


def image_keys(seed: Array, index: Array) -> Array:
    """The typed keys [N] of the images with these numbers int32 [N] in the stream of a seed uint32 []."""
    return jax.vmap(lambda number: jax.random.fold_in(jax.random.key(seed), number))(index)
