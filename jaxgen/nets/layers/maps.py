"""Maps as conditioning inputs, beside the image that a network takes, and frames side by side."""

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


class SideBySide(nn.Module):
    """A network of images as one of clips whose frames are channels [B, H, W, T C]: it sees strips [B, H, T W, C].

    Maps [B, H, W, T M] become strips too.  To a transformer, the patches of all frames are tokens of one image.
    """

    network: nn.Module
    frames: int

    def __call__(self, image: Array, *condition: Array, **options: Any) -> Array:
        network: Any = self.network
        seen = [self._strip(array) if array.ndim == 4 else array for array in (image, *condition)]
        return self._channels(network(*seen, **options))

    def _strip(self, clip: Array) -> Array:
        batch, height, width, channels = clip.shape
        apart = clip.reshape(batch, height, width, self.frames, channels // self.frames)
        return jnp.swapaxes(apart, 2, 3).reshape(batch, height, self.frames * width, -1)

    def _channels(self, strip: Array) -> Array:
        batch, height, width, channels = strip.shape
        apart = strip.reshape(batch, height, self.frames, width // self.frames, channels)
        return jnp.swapaxes(apart, 2, 3).reshape(batch, height, width // self.frames, -1)
