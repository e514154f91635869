"""Maps as conditioning inputs, beside the image that a network takes."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxgen.core.types import Array


class WithMaps(nn.Module):
    """A network that takes maps [B, H, W, M] too, as channels beside the image's, and has outputs like the image.

    Further conditioning inputs, which are no maps, are the network's own.
    """

    network: nn.Module

    def __call__(self, image: Array, *condition: Array, **options: Any) -> Array:
        network: Any = self.network
        maps = [array for array in condition if array.ndim == 4]
        others = [array for array in condition if array.ndim < 4]
        return network(jnp.concatenate([image, *maps], axis=-1), *others, **options)[..., : image.shape[-1]]
