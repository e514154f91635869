"""What a finished model can do, as pure functions that close over its variables: controls, restorer, stylizer.

Between a latent [Z] and its image lies a code [L, W]: the latent itself for most networks (L = 1), and the style of
each of L layers for a style-based generator.  Directions, interpolations and mixtures are of codes.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxgen.core.condition import Fields
from jaxgen.core.types import Array


class Controls(NamedTuple):
    """The parts of a generator, and the discriminator and the encoder beside it if there are any.

    Images are float32 [N, H, W, C] in [-1, 1].
    """

    draw: Callable[[Array, Array], Array]
    """A seed uint32 [] and image numbers int32 [N] to latents [N, Z], those of the sampler."""
    codes: Callable[[Array, Fields], Array]
    """Latents [N, Z] to codes [N, L, W]."""
    generate: Callable[[Array, Array, Fields], Array]
    """Codes [N, L, W] and latents [N, Z] to images; what codes leave out, such as noise, comes from the latents."""
    first_layer: Callable[[Array], Array]
    """Codes [N, L, W] to the affine outputs [N, F] of the layers that read them first."""
    logits: Callable[[Array, Fields], Array] | None = None
    """Images to the discriminator's logits [N]."""
    encode: Callable[[Array, Fields], Array] | None = None
    """Images to latents [N, Z]."""


Restorer = Callable[[Array, Array], Array]
"""Degraded images float32 [B, H, W, C] in [-1, 1] and where their pixels are known, bool [B, H, W, 1], to images."""

Stylizer = Callable[[Array, Array, Array, Array], Array]
"""(content [B, H, W, C], style [B, V, U, C], strength [B], mask [B, H, W, 1]) to images [B, H, W, C], all float32: the
images in [-1, 1], strengths and masks in [0, 1]."""
