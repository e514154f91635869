"""Regularisers of the discriminator: losses to `add` to its side, and `clip_weights`, an optax transformation."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.batch import draw_batch, mean_over_devices
from jaxgen.core.checks import require_networks
from jaxgen.core.image import to_float
from jaxgen.core.metrics import mean
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Variables
from jaxgen.losses import (
    Discriminator,
    finite_difference_penalty,
    lecam_penalty,
    one_centred_penalty,
    zero_centred_penalty,
)
from jaxgen.models.gan.model import GAN, logits
from jaxgen.models.gan.transforms import Transform, transformed

Penalty = Callable[[Discriminator, Array, Array], Array]
"""A discriminator, images float32 [B, H, W, C] and a key to a penalty [B]."""

Points = Callable[[GAN, Networks, Context], Array]
"""A GAN, networks and a context to the images float32 [B, H, W, C] at which a penalty is taken."""


def r1_loss(gan: GAN, *, gamma: float, one_in: int = 1, finite_differences: bool = False) -> Loss:
    """`gamma` times the R1 penalty, averaged over every `one_in`-th real image.

    `finite_differences` estimates it without second derivatives.
    """
    return _slope_loss(gan, real_images, _zero_centred(finite_differences), gamma, one_in)


def r2_loss(gan: GAN, *, gamma: float, one_in: int = 1, finite_differences: bool = False) -> Loss:
    """`gamma` times the R2 penalty, averaged over every `one_in`-th generated image."""
    return _slope_loss(gan, generated_images, _zero_centred(finite_differences), gamma, one_in)


def gradient_penalty_loss(gan: GAN, *, weight: float = 10.0, one_sided: bool = False) -> Loss:
    """WGAN-GP's penalty at random points between real and generated images, averaged over the batch."""

    def between(gan: GAN, networks: Networks, context: Context) -> Array:
        real, fake = (of(gan, networks, context) for of in (real_images, generated_images))
        share = _uniform(stream(context, "between").key, len(real))
        return share * real + (1 - share) * fake

    return _slope_loss(gan, between, _one_centred(one_sided), weight, 1)


def dragan_loss(gan: GAN, *, weight: float = 10.0) -> Loss:
    """DRAGAN's penalty around real images, averaged over the batch.

    Points are drawn between an image and the image plus noise of up to half the standard deviation of the batch's
    pixels, as in the authors' code.
    """

    def nearby(gan: GAN, networks: Networks, context: Context) -> Array:
        real = real_images(gan, networks, context)
        centre = mean_over_devices(real.mean())
        deviation = jnp.sqrt(mean_over_devices(jnp.square(real - centre).mean()))
        noise = 0.5 * deviation * draw_batch(jax.random.uniform, stream(context, "nearby").key, real.shape)
        return real + _uniform(stream(context, "between").key, len(real)) * noise

    return _slope_loss(gan, nearby, _one_centred(one_sided=False), weight, 1)


def consistency_loss(gan: GAN, *transforms: Transform, weight: float = 10.0, of_generated: float = 0.0) -> Loss:
    """Consistency regularisation: `weight` times the mean squared change of logits under label-preserving transforms.

    Each image goes through all transforms, such as `mirror`.  Zhang et al. (2020), https://arxiv.org/abs/1910.12027.
    With `of_generated`, the weight for generated images, it is balanced: Zhao et al. (2021),
    https://arxiv.org/abs/2002.04724.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        total = jnp.zeros(())
        for of, share in ((real_images, weight), (generated_images, of_generated)):
            if share:
                images = of(gan, networks, context)
                changed = transformed(transforms, stream(context, of.__name__).key, images, jnp.ones(()))
                before, after = map(_discriminator(gan, networks, context), (images, changed))
                total += share * jnp.square(after - before).mean()
        return total, Aux()

    return loss


def lecam_averages() -> Variables:
    """The network "lecam" before the first step: moving averages of the logits of real and of fake images."""
    return {"averages": {"real": jnp.zeros(()), "fake": jnp.zeros(())}}


def lecam_loss(gan: GAN, *, weight: float, decay: float = 0.99) -> Loss:
    """`weight` times the LeCam penalty; its moving averages are the network "lecam", at first `lecam_averages()`."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        require_networks(["lecam"], networks)
        averages = networks["lecam"]["averages"]
        real, fake = to_float(context.batch["image"]), generated_images(gan, networks, context)
        real_logits, fake_logits, changes = gan.logits(networks, context, real, fake)
        penalty = lecam_penalty(real_logits, fake_logits, averages["real"], averages["fake"])
        new = jax.lax.stop_gradient({"real": real_logits.mean(), "fake": fake_logits.mean()})
        new = jax.tree.map(lambda average, value: decay * average + (1 - decay) * value, dict(averages), new)
        return weight * penalty.mean(), Aux(changes={gan.discriminator_name: changes, "lecam": {"averages": new}})

    return loss


def clip_weights(limit: float) -> optax.GradientTransformation:
    """Weight clipping: as the last link of an optax chain, it keeps parameters within [-limit, limit].

    Arjovsky et al. (2017), https://arxiv.org/abs/1701.07875, algorithm 1.
    """

    def update(updates, state, params=None):
        clipped = jax.tree.map(lambda step, param: jnp.clip(param + step, -limit, limit) - param, updates, params)
        return clipped, state

    return optax.GradientTransformation(optax.identity().init, update)


def real_images(gan: GAN, networks: Networks, context: Context) -> Array:  # noqa: ARG001
    """The batch's images, float32 [B, H, W, C]."""
    return to_float(context.batch["image"])


def generated_images(gan: GAN, networks: Networks, context: Context) -> Array:
    """One generated image for each element of the batch, without a gradient for the generator."""
    return jax.lax.stop_gradient(gan.draw(networks, context)[0])


def _slope_loss(gan: GAN, points: Points, penalty: Penalty, weight: float, one_in: int) -> Loss:
    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        images = points(gan, networks, context)[::one_in]
        value = penalty(_discriminator(gan, networks, context, one_in), images, context.key)
        return weight * value.mean(), Aux({"penalty": mean(value)})

    return loss


def _discriminator(gan: GAN, networks: Networks, context: Context, one_in: int = 1) -> Discriminator:
    condition = tuple(array[::one_in] for array in gan.conditioning(context))
    context = stream(context, "judge")  # the name decides the draws, so it stays
    return lambda images: logits(gan.discriminate(networks, context, images, condition, train=False)[0])


def _zero_centred(finite_differences: bool) -> Penalty:
    if not finite_differences:
        return lambda discriminator, images, _: zero_centred_penalty(discriminator, images)

    def estimate(discriminator: Discriminator, images: Array, key: Array) -> Array:
        return finite_difference_penalty(discriminator, images, draw_batch(jax.random.normal, key, images.shape))

    return estimate


def _one_centred(one_sided: bool) -> Penalty:
    return lambda discriminator, images, _: one_centred_penalty(discriminator, images, one_sided=one_sided)


def _uniform(key: Array, num: int) -> Array:
    """A uniform number for each image, [num, 1, 1, 1]."""
    return draw_batch(jax.random.uniform, key, (num, 1, 1, 1))
