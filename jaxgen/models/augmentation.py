"""Augmentations that the discriminator sees and the generator learns through.

    DiffAugment    always: Zhao et al. (2020), https://arxiv.org/abs/2006.10738
    adaptive       each image with a probability p that follows how far the discriminator overfits,
                       r = E[sign l(x)],   p <- p + sign(r - target) B / images
                   Karras et al. (2020), https://arxiv.org/abs/2006.06676, equation (1)

Both kinds of images are augmented, each with a draw of its own.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.axis import devices, mean_over_devices, own_share
from jaxgen.condition import told
from jaxgen.metrics import mean
from jaxgen.models.gan import GAN, Augment, logits
from jaxgen.models.regularizers import real_images
from jaxgen.types import Array, Aux, Context, Loss, Networks, Variables

Transform = Callable[[Array, Array], Array]
"""A key and one image float32 [H, W, C] to another."""


def change_colour(key: Array, image: Array) -> Array:
    """Brightness by up to 1/2 of the range, saturation by a factor up to 2, contrast by a factor from 1/2 to 3/2."""
    brightness, saturation, contrast = jax.random.split(key, 3)
    image += jax.random.uniform(brightness, minval=-0.5, maxval=0.5)
    grey = image.mean(-1, keepdims=True)
    image = grey + 2 * jax.random.uniform(saturation) * (image - grey)
    return image.mean() + jax.random.uniform(contrast, minval=0.5, maxval=1.5) * (image - image.mean())


def translate(key: Array, image: Array) -> Array:
    """Moved by up to an eighth of each side, with 0 where nothing was."""
    height, width, _ = image.shape
    most = jnp.array([(height + 4) // 8, (width + 4) // 8])
    offset = jax.random.randint(key, (2,), -most, most + 1)
    padded = jnp.pad(image, ((height // 4, height // 4), (width // 4, width // 4), (0, 0)))
    start = jnp.array([height // 4, width // 4]) - offset
    return jax.lax.dynamic_slice(padded, (*start, 0), image.shape)


def cut_out(key: Array, image: Array) -> Array:
    """A square of half the sides, centred anywhere, becomes 0."""
    sides = jnp.array(image.shape[:2])
    centre = jax.random.randint(key, (2,), 0, sides)
    near = [jnp.abs(jnp.arange(n) - c + 0.5) < n / 4 for n, c in zip(image.shape[:2], centre, strict=True)]
    return jnp.where((near[0][:, None] & near[1])[..., None], 0.0, image)


def mirror(key: Array, image: Array) -> Array:
    """Left and right swapped, in half of all cases."""
    return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)


def differentiable_augment(*transforms: Transform) -> Augment:
    """The transforms one after another, each of every image."""

    def augment(_networks: Networks, key: Array, images: Array) -> Array:
        return _transformed(transforms, key, images, jnp.ones(()))

    return augment


def adaptive_augment(*transforms: Transform) -> Augment:
    """Each transform of each image with the probability that the network "augmentation" holds."""

    def augment(networks: Networks, key: Array, images: Array) -> Array:
        return _transformed(transforms, key, images, networks["augmentation"]["adaptive"]["probability"])

    return augment


def augmentation_probability(value: float = 0.0) -> Variables:
    """The network "augmentation" before the first step."""
    return {"adaptive": {"probability": jnp.float32(value)}}


def adapt_probability(gan: GAN, *, target: float = 0.6, images: int = 500_000, every: int = 1) -> Loss:
    """A loss of 0 that moves the probability, from 0 to 1 in no fewer than so many images.

    Inside `lazily(k, ...)` tell it: `every=k`.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        real, condition = real_images(gan, networks, context), told(gan.condition, context.batch)
        output, _ = gan.discriminate(networks, context, real, condition, train=False)
        sign = mean_over_devices(jnp.sign(logits(output)).mean())
        step = every * devices() * len(real) / images
        probability = networks["augmentation"]["adaptive"]["probability"] + jnp.sign(sign - target) * step
        probability = jax.lax.stop_gradient(jnp.clip(probability, 0.0, 1.0))
        metrics = {"probability": mean(probability), "real_sign": mean(sign)}
        return jnp.zeros(()), Aux(metrics, {"augmentation": {"adaptive": {"probability": probability}}})

    return loss


def _transformed(transforms: tuple[Transform, ...], key: Array, images: Array, probability: Array) -> Array:
    keys = own_share(jax.random.split(key, devices() * len(images)))

    def one(key: Array, image: Array) -> Array:
        for transform, own in zip(transforms, jax.random.split(key, len(transforms)), strict=True):
            chance, draw = jax.random.split(own)
            image = jnp.where(jax.random.uniform(chance) < probability, transform(draw, image), image)
        return image

    return jax.vmap(one)(keys, images)
