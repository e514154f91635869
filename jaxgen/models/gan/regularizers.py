"""Penalties and other terms that keep a game stable, as losses of the discriminator: `add` them to its side."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.batch import devices, mean_over_devices, shard_batch
from jaxgen.core.checks import require_networks
from jaxgen.core.condition import conditioning
from jaxgen.core.image import to_float
from jaxgen.core.metrics import mean
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Variables
from jaxgen.losses import finite_difference_penalty, lecam_penalty, one_centred_penalty, zero_centred_penalty
from jaxgen.models.gan.model import GAN, logits
from jaxgen.models.gan.transforms import Transform, transformed

Penalty = Callable[[Callable[[Array], Array], Array, Array], Array]
"""A discriminator, images and a key to a penalty [B]."""


def r1_loss(gan: GAN, *, gamma: float, one_in: int = 1, finite_differences: bool = False) -> Loss:
    """`gamma` times the R1 penalty, averaged over one in so many real images (of each device's, in a pmap).

    `finite_differences` estimates it without second derivatives.
    """
    return _slope_loss(gan, real_images, _zero_centred(finite_differences), gamma, one_in)


def r2_loss(gan: GAN, *, gamma: float, one_in: int = 1, finite_differences: bool = False) -> Loss:
    """`gamma` times the R2 penalty, averaged over one in so many generated images (of each device's, in a pmap)."""
    return _slope_loss(gan, generated_images, _zero_centred(finite_differences), gamma, one_in)


def gradient_penalty_loss(gan: GAN, *, weight: float = 10.0, one_sided: bool = False) -> Loss:
    """WGAN-GP's penalty at random points between real and generated images, averaged over the batch."""

    def between(gan: GAN, networks: Networks, context: Context) -> Array:
        real, fake = (of(gan, networks, context) for of in (real_images, generated_images))
        share = _uniform(stream(context, "between").key, len(real))
        return share * real + (1 - share) * fake

    return _slope_loss(gan, between, _one_centred(one_sided), weight, 1)


def dragan_loss(gan: GAN, *, weight: float = 10.0) -> Loss:
    """DRAGAN's penalty about real images, averaged over the batch.

    Points are drawn between an image and itself moved by up to half the standard deviation of the batch's pixels, as in
    the authors' code.
    """

    def nearby(gan: GAN, networks: Networks, context: Context) -> Array:
        real = real_images(gan, networks, context)
        centre = mean_over_devices(real.mean())
        deviation = jnp.sqrt(mean_over_devices(jnp.square(real - centre).mean()))
        shape = (devices() * len(real), *real.shape[1:])
        moved = 0.5 * deviation * shard_batch(jax.random.uniform(stream(context, "nearby").key, shape))
        return real + _uniform(stream(context, "between").key, len(real)) * moved

    return _slope_loss(gan, nearby, _one_centred(one_sided=False), weight, 1)


def consistency_loss(gan: GAN, *transforms: Transform, weight: float = 10.0, of_generated: float = 0.0) -> Loss:
    """What logits change when images do that mean the same: `weight` times the mean squared change.

    Each image goes through all transforms, such as `mirror`.  Zhang et al. (2020), https://arxiv.org/abs/1910.12027;
    with `of_generated`, the weight for generated images, balanced: Zhao et al. (2021),
    https://arxiv.org/abs/2002.04724.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        total = jnp.zeros(())
        for of, share in ((real_images, weight), (generated_images, of_generated)):
            if share:
                images = of(gan, networks, context)
                changed = transformed(transforms, stream(context, of.__name__).key, images, jnp.ones(()))
                before, after = (_judge(gan, networks, context)(given) for given in (images, changed))
                total += share * jnp.square(after - before).mean()
        return total, Aux()

    return loss


def lecam_averages() -> Variables:
    """The network "lecam" before the first step: the moving averages of both kinds of logits."""
    return {"averages": {"real": jnp.zeros(()), "fake": jnp.zeros(())}}


def lecam_loss(gan: GAN, *, weight: float, decay: float = 0.99) -> Loss:
    """`weight` times the LeCam penalty, whose averages are the network "lecam".

    That is `lecam_averages()`, beside the GAN's own networks.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        require_networks(["lecam"], networks)
        averages = networks["lecam"]["averages"]
        real, fake = real_images(gan, networks, context), generated_images(gan, networks, context)
        real_logits, fake_logits, changes = gan.judge(networks, context, real, fake)
        penalty = lecam_penalty(real_logits, fake_logits, averages["real"], averages["fake"])
        new = jax.lax.stop_gradient({"real": real_logits.mean(), "fake": fake_logits.mean()})
        new = jax.tree.map(lambda average, value: decay * average + (1 - decay) * value, dict(averages), new)
        return weight * penalty.mean(), Aux(changes={"discriminator": changes, "lecam": {"averages": new}})

    return loss


def clip_weights(limit: float) -> optax.GradientTransformation:
    """The last link of an optax chain: parameters stay within [-limit, limit], as in the first Wasserstein GAN.

    Arjovsky et al. (2017), https://arxiv.org/abs/1701.07875, algorithm 1.
    """

    def update(updates, state, params=None):
        clipped = jax.tree.map(lambda step, param: jnp.clip(param + step, -limit, limit) - param, updates, params)
        return clipped, state

    return optax.GradientTransformation(optax.init_empty_state, update)


def real_images(gan: GAN, networks: Networks, context: Context) -> Array:  # noqa: ARG001
    """The batch's images, float32."""
    return to_float(context.batch["image"])


def generated_images(gan: GAN, networks: Networks, context: Context) -> Array:
    """As many images by the generator, whose parameters get no gradient."""
    return jax.lax.stop_gradient(gan.draw(networks, context)[0])


def _slope_loss(gan: GAN, images_of, penalty: Penalty, weight: float, one_in: int) -> Loss:
    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        images = images_of(gan, networks, context)[::one_in]
        value = penalty(_judge(gan, networks, context, one_in), images, context.key)
        return weight * value.mean(), Aux({"penalty": mean(value)})

    return loss


def _judge(gan: GAN, networks: Networks, context: Context, one_in: int = 1) -> Callable[[Array], Array]:
    """The logits [B] of images, each by itself."""
    condition = tuple(array[::one_in] for array in conditioning(gan.conditions, context.batch))
    context = stream(context, "judge")
    return lambda images: logits(gan.discriminate(networks, context, images, condition, train=False)[0])


def _zero_centred(finite_differences: bool) -> Penalty:
    if not finite_differences:
        return lambda judge, images, _: zero_centred_penalty(judge, images)

    def estimate(judge: Callable[[Array], Array], images: Array, key: Array) -> Array:
        noise = shard_batch(jax.random.normal(key, (devices() * len(images), *images.shape[1:])))
        return finite_difference_penalty(judge, images, noise)

    return estimate


def _one_centred(one_sided: bool) -> Penalty:
    return lambda judge, images, _: one_centred_penalty(judge, images, one_sided=one_sided)


def _uniform(key: Array, num: int) -> Array:
    """A number from 0 to 1 an image, [num, 1, 1, 1]."""
    return shard_batch(jax.random.uniform(key, (devices() * num, 1, 1, 1)))
