"""Controls of a generator: pure functions that close over its variables.

Between a latent [Z] and its image lies a code [L, W]: the latent itself for most networks (L = 1), and the style of
each of L layers for a style-based generator.  Directions, interpolations and mixtures are of codes.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from jaxgen.core.types import Array

Fields = Mapping[str, Array]
"""The fields [N, ...] of the conditions by name; empty for an unconditional model."""

NO_FIELDS: Fields = MappingProxyType({})


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
