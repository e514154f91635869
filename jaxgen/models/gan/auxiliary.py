"""What else a discriminator can tell of an image, by outputs [B, 1 + A] of which the first tells real from fake.

    auxiliary classifier    its class.  Odena et al. (2017), https://arxiv.org/abs/1610.09585
    InfoGAN                 the code that it was generated from.  Chen et al. (2016), https://arxiv.org/abs/1606.03657

Its terms are losses: `add` them to the two sides of a game.  All take the further outputs from the first on.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.condition import conditioning
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.models.gan.model import GAN
from jaxgen.models.gan.regularizers import real_images


def real_class_loss(gan: GAN) -> Loss:
    """The cross-entropy of the real images' classes, in nats: for the discriminator.

    Raises:
      ValueError: the GAN is not told labels; or, when traced, the discriminator has too few outputs.
    """
    _require_labels(gan)

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        value, changes = _class_loss(gan, networks, context, real_images(gan, networks, context))
        return value, Aux(changes=changes)

    return loss


def generated_class_loss(gan: GAN) -> Loss:
    """The cross-entropy of the classes that generated images were to have, in nats: for either network.

    Raises:
      ValueError: the GAN is not told labels; or, when traced, the discriminator has too few outputs.
    """
    _require_labels(gan)

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        fake, generator = gan.draw(networks, context)
        value, changes = _class_loss(gan, networks, context, fake)
        return value, Aux(changes={"generator": generator, **changes})

    return loss


def code_latents(categories: int, continuous: int) -> Callable[[Array, int], Array]:
    """The `draw_latent` of a GAN whose latents begin with a code.

    That is one of so many categories, one-hot and equally likely, and so many numbers from -1 to 1; the rest of the
    latent is standard normal.

    Raises:
      ValueError: when a latent is drawn, if it is shorter than its code.
    """

    def draw(key: Array, size: int) -> Array:
        if size < categories + continuous:
            raise ValueError(f"A latent of {size} numbers was given; its code alone has {categories + continuous}.")
        category, dist_params, noise = jax.random.split(key, 3)
        one_hot = jax.nn.one_hot(jax.random.randint(category, (), 0, max(categories, 1)), categories)
        code = jax.random.uniform(dist_params, (continuous,), minval=-1)
        return jnp.concatenate([one_hot, code, jax.random.normal(noise, (size - categories - continuous,))])

    return draw


def information_loss(gan: GAN, *, categories: int, continuous: int) -> Loss:
    """The negative of a lower bound on what images tell of their codes, in nats but for a constant: for both networks.

    Categories by cross-entropy, numbers by a normal of unit variance; the discriminator has as many further outputs,
    and `code_latents` of the same code draws the GAN's latents.

    Raises:
      ValueError: when traced, if the discriminator has too few outputs.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        latent = gan.latents(context)
        fake, generator = gan.draw(networks, context)
        condition = conditioning(gan.conditions, context.batch)
        output, discriminator = gan.discriminate(networks, stream(context, "fake"), fake, condition)
        category, dist_params = jnp.split(_further(output, categories + continuous), [categories], axis=1)
        expected = jnp.split(latent[:, : categories + continuous], [categories], axis=1)
        value = -(expected[0] * jax.nn.log_softmax(category)).sum(-1) if categories else jnp.zeros(len(latent))
        value += 0.5 * jnp.square(dist_params - expected[1]).sum(-1)
        return value.mean(), Aux(changes={"generator": generator, "discriminator": discriminator})

    return loss


def _class_loss(gan: GAN, networks: Networks, context: Context, images: Array) -> tuple[Array, dict]:
    (one_hot,) = condition = conditioning(gan.conditions, context.batch)
    output, changes = gan.discriminate(networks, stream(context, "class"), images, condition)
    scores = _further(output, one_hot.shape[-1])
    return -(one_hot * jax.nn.log_softmax(scores)).sum(-1).mean(), {"discriminator": changes}


def _further(output: Array, count: int) -> Array:
    """The outputs [B, count] beside the logit."""
    if output.ndim != 2 or output.shape[1] < 1 + count:
        shape = list(output.shape)
        raise ValueError(f"The discriminator's outputs are {shape}; expected [B, {1 + count}]: auxiliary={count}.")
    return output[:, 1 : 1 + count]


def _require_labels(gan: GAN) -> None:
    if gan.condition is None or not gan.condition.classes:
        raise ValueError("This GAN is told no labels, which have the classes: give it condition=labels(classes).")
