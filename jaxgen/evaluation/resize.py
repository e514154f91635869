"""Images resized for a feature network: bicubic interpolation with antialiasing.

Resamplers without antialiasing change the Fréchet distance by more than models differ (Parmar et al. 2022,
https://arxiv.org/abs/2104.11222).  This one is theirs, Pillow's, in float32; each pixel is then rounded to its nearest
level, since the networks were trained on such images.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array


def resize(image: Array, spec: ImageSpec) -> Array:
    """Images uint8 [B, H, W, C] in another size, uint8 [B, *spec].

    The aspect ratio is not kept; grey images are repeated to the channels of `spec`.
    """
    batch, height, width, channels = image.shape
    if (height, width) != (spec.height, spec.width):
        shape = batch, spec.height, spec.width, channels
        smooth = jax.image.resize(image.astype(jnp.float32), shape, "bicubic", antialias=True)
        image = jnp.clip(jnp.round(smooth), 0, 255).astype(jnp.uint8)
    return jnp.broadcast_to(image, (batch, *spec))


def resize_name(spec: ImageSpec, to: ImageSpec) -> str:
    """What `resize` does to images of one size, as records say it: "none", or both sizes and how.

    >>> resize_name(ImageSpec(64, 48, 1), ImageSpec(32, 32, 3))
    '64x48x1 to 32x32x3: bicubic with antialiasing, aspect ratio not kept, grey repeated'
    """
    parts = {
        "bicubic with antialiasing": spec[:2] != to[:2],
        "aspect ratio not kept": spec.height * to.width != spec.width * to.height,
        "grey repeated": spec.channels != to.channels,
    }
    done = ", ".join(part for part, is_done in parts.items() if is_done)
    return f"{'x'.join(map(str, spec))} to {'x'.join(map(str, to))}: {done}" if done else "none"
