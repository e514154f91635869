"""Style transfer: the content of one image in the style of another.

By adaptive instance normalisation (AdaIN), Huang and Belongie (2017), https://arxiv.org/abs/1703.06868.  The last
feature map of an encoder is f(x), which a decoder g inverts.  With mu and sigma the mean and the standard deviation of
each channel over an image, c the content, s the style, a the strength, and move a random crop:

    (1) AdaIN(x, y) = sigma(y) (x - mu(x)) / sigma(x) + mu(y)
    (2) t           = (1 - a) f(c) + a AdaIN(f(c), f(s)),   result g(t)
    (3) loss        = content(f(g(t)), t) + weight style(move(g(t)), s)    with a = 1

Equations (8), (14) and (11) there, without move.  With a mask m the result is m g(t) + (1 - m) c.

By optimisation, Gatys et al. (2016): the image itself is the network "image", and its pixels descend

    (4) loss        = content(f(x), f(c)) + weight Gram(x, s)
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.batch import shard_batch
from jaxgen.core.condition import Fields
from jaxgen.core.controls import Stylizer
from jaxgen.core.image import ImageSpec, to_float, to_uint8
from jaxgen.core.metrics import mean
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Batch, Context, Loss, Networks, Variables
from jaxgen.io.errors import InputError
from jaxgen.losses import channel_moments, gram_style_loss, moment_style_loss, squared_error
from jaxgen.nets import Module, forward

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
MOVES = 4
"""Offsets of a crop in either direction: as many as the encoder's stride in pixels."""

FeatureMaps = Callable[[Array], Sequence[Array]]
"""Images float32 [B, H, W, C] in [-1, 1] to the maps [B, h, w, F] of each level, the last for the content."""


class StyleTransfer(NamedTuple):
    """An encoder from images to feature maps [B, h, w, F] of several levels, and a decoder from the last of them."""

    encoder: Module
    decoder: Module
    encoder_name: str = "encoder"
    decoder_name: str = "decoder"

    def init(self, key: Array, spec: ImageSpec) -> dict[str, Variables]:
        """The variables of both networks for images of a size."""
        encoder, decoder = jax.random.split(key)
        maps, variables = self.encoder.init_with_output(encoder, jnp.full((1, *spec), -1.0), train=False)
        return {
            self.encoder_name: variables,
            self.decoder_name: self.decoder.init(decoder, maps[-1], train=False),
        }

    def encode(self, networks: Networks, images: Array) -> Sequence[Array]:
        """The maps [B, h, w, F] of each level of images float32 [B, H, W, C] in [-1, 1]."""
        return forward(self.encoder, networks[self.encoder_name], images, train=False)[0]

    def decode(self, networks: Networks, features: Array, size: Sequence[int]) -> Array:
        """Images float32 [B, *size, C] from maps of the last level, cropped to the size."""
        image = forward(self.decoder, networks[self.decoder_name], features, train=False)[0]
        for axis, side in enumerate(size, start=1):
            image = jnp.take(image, jnp.arange(side), axis=axis)
        return image

    def transfer(
        self,
        networks: Networks,
        content: Array,
        style: Array,
        strength: Array | float = 1.0,
        mask: Array | None = None,
    ) -> Array:
        """Transfers the styles of images [B, H', W', C] to contents float32 [B, H, W, C] in [-1, 1], by (2).

        `strength`, one or [B], goes from 0, the reconstructed content, to 1.  Where a mask [B, H, W, 1] in [0, 1] is 0
        the content stays unchanged.
        """
        features, styles = (self.encode(networks, images)[-1] for images in (content, style))
        target = blended(features, adaptive_instance_norm(features, styles), strength)
        result = self.decode(networks, target, content.shape[1:3])
        return result if mask is None else mask * result + (1 - mask) * content

    def stylizer(self, networks: Networks) -> Stylizer:
        """The function (content, style, strength, mask) -> images of `transfer` with these networks."""
        return partial(self.transfer, networks)

    def losses(self, networks: Networks, images: Array, content: Array, style: Array) -> tuple[Array, Array]:
        """The content and the style loss [B] of images [B, H, W, C], the terms of (3) without move."""
        maps, features, styles = (self.encode(networks, pixels) for pixels in (images, content, style))
        return squared_error(maps[-1], adaptive_instance_norm(features[-1], styles[-1])), moment_style_loss(
            maps, styles
        )

    def sampler(self, examples: Array) -> Sampler:
        """Transfers styles between random pairs of `examples` uint8 [N, H, W, C], at least two."""

        def draw(networks: Networks, keys: Array, fields: Fields) -> Array:  # noqa: ARG001
            pairs = jax.vmap(lambda key: jax.random.choice(key, len(examples), (2,), replace=False))(keys)
            content, style = (to_float(jnp.asarray(examples)[pairs[:, which]]) for which in (0, 1))
            return self.transfer(networks, content, style)

        return Sampler(draw)


def adaptive_instance_norm(content: Array, style: Array) -> Array:
    """Adaptive instance normalisation: maps [B, h, w, F] with the moments of others [B, h', w', F], (1)."""
    (centre, deviation), (other_centre, other_deviation) = map(channel_moments, (content, style))
    return other_deviation * (content - centre) / deviation + other_centre


def blended(content: Array, styled: Array, strength: Array | float) -> Array:
    """Linear interpolation of maps [B, h, w, F] from content to style, by one strength or [B], (2)."""
    share = jnp.reshape(jnp.asarray(strength, content.dtype), (-1, 1, 1, 1))
    return (1 - share) * content + share * styled


def swapped(images: Array) -> Array:
    """Swaps each pair of a shuffled batch [B, ...]: first with second, third with fourth.

    Raises:
      InputError: an odd number of images.
    """
    if len(images) % 2:
        raise InputError(f"Pairs of content and style of {len(images)} images (on a device); expected an even number.")
    return images.reshape(-1, 2, *images.shape[1:])[:, ::-1].reshape(images.shape)


def moved(key: Array, images: Array) -> Array:
    """A random crop [B, H - 4, W - 4, C] of images [B, H, W, C], at the same place in all.

    Raises:
      InputError: images of which nothing would be left.
    """
    if min(images.shape[1:3]) <= MOVES:
        size, least = "x".join(map(str, images.shape[1:3])), MOVES + 1
        raise InputError(f"Images of {size}: crops are {MOVES} pixels smaller; expected at least {least}x{least}.")
    row, column = jax.random.randint(key, (2,), 0, MOVES)
    height, width = (side - MOVES for side in images.shape[1:3])
    return jax.lax.dynamic_slice(images, (0, row, column, 0), (len(images), height, width, images.shape[-1]))


def style_transfer_loss(model: StyleTransfer, *, weight: float = 10.0) -> Loss:
    """(3), averaged over the batch: each image takes its neighbour's style.  No gradient flows into the encoder.

    The style loss sees a random crop: features of a strided encoder repeat with the stride, and the decoder would match
    styles by a visible pattern of that period.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        name = model.encoder_name
        networks = {**networks, name: jax.lax.stop_gradient(networks[name])}
        images = to_float(context.batch["image"])
        maps = model.encode(networks, images)
        styles = [swapped(level) for level in maps]
        target = adaptive_instance_norm(maps[-1], styles[-1])
        made = model.decode(networks, target, images.shape[1:3])
        content = squared_error(model.encode(networks, made)[-1], target)
        style = moment_style_loss(model.encode(networks, moved(context.key, made)), styles)
        return (content + weight * style).mean(), Aux({"content": mean(content), "style": mean(style)})

    return loss


def identity_loss(model: StyleTransfer) -> Loss:
    """The mean squared error of the reconstructed content, at strength 0.

    It trains the encoder too, as half of an autoencoder.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        images = to_float(context.batch["image"])
        error = squared_error(model.decode(networks, model.encode(networks, images)[-1], images.shape[1:3]), images)
        return error.mean(), Aux({"error": mean(error)})

    return loss


def image_network(image: Array) -> Variables:
    """Images float32 [B, H, W, C] as the network "image", which `minimize(..., wrt="image")` optimises."""
    return {"params": image}


def optimized_transfer_loss(features: FeatureMaps, *, weight: float = 1.0) -> Loss:
    """(4) of the network "image", averaged over the batch, which has `content` and `style` uint8 [B, H, W, C].

    `features` is any function from images to maps.  Start from the content or from noise.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        maps = features(shard_batch(networks["image"]["params"]))
        contents, styles = (features(to_float(context.batch[name])) for name in ("content", "style"))
        content, style = squared_error(maps[-1], contents[-1]), gram_style_loss(maps, styles)
        return (content + weight * style).mean(), Aux({"content": mean(content), "style": mean(style)})

    return loss


def strengths(model: StyleTransfer, networks: Networks, batch: Batch, *, rows: int = 8) -> Array:
    """A row uint8 [7, H, W, C] for each of some images: content, transfers of increasing strength, and style."""
    content = to_float(batch["image"][: 2 * min(rows, len(batch["image"]) // 2)])
    style = swapped(content)
    between = [model.transfer(networks, content, style, strength) for strength in STRENGTHS]
    return to_uint8(jnp.stack([content, *between, style], axis=1))[::2]
