"""Auxiliary outputs of a discriminator: [B, 1 + A], of which the first is the logit of real against fake.

    auxiliary classifier    the class.  Odena et al. (2017), https://arxiv.org/abs/1610.09585
    InfoGAN                 the latent code.  Chen et al. (2016), https://arxiv.org/abs/1606.03657

Each term is a loss: `add` it to a side of the game.  Each reads the first A auxiliary outputs, so that two terms
would share them.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.image import to_float
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.models.gan.model import GAN, DrawLatent


def real_class_loss(gan: GAN) -> Loss:
    """The cross-entropy of the classes of real images, in nats: for the discriminator.

    Raises:
      ValueError: the GAN has no labels as conditions; or, when traced, the discriminator has too few outputs.
    """
    _require_labels(gan)

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        value, changes = _class_loss(gan, networks, context, to_float(context.batch["image"]))
        return value, Aux(changes=changes)

    return loss


def generated_class_loss(gan: GAN) -> Loss:
    """The cross-entropy of the classes that generated images are conditioned on, in nats: for either network.

    Raises:
      ValueError: the GAN has no labels as conditions; or, when traced, the discriminator has too few outputs.
    """
    _require_labels(gan)

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        fake, generator = gan.draw(networks, context)
        value, changes = _class_loss(gan, networks, context, fake)
        return value, Aux(changes={gan.generator_name: generator, **changes})

    return loss


def code_latents(categories: int, continuous: int) -> DrawLatent:
    """The `draw_latent` of a GAN whose latents begin with InfoGAN's code.

    The code is a one-hot category, uniformly distributed, and `continuous` numbers, uniform in [-1, 1]; the rest of the
    latent is standard normal.

    Raises:
      ValueError: when a latent is drawn, if it is shorter than its code.
    """

    def draw(key: Array, size: int) -> Array:
        if size < categories + continuous:
            raise ValueError(f"latent_size={size} was given; the code alone has {categories + continuous} dimensions.")
        category, uniform, noise = jax.random.split(key, 3)
        one_hot = jax.nn.one_hot(jax.random.randint(category, (), 0, max(categories, 1)), categories)
        code = jax.random.uniform(uniform, (continuous,), minval=-1)
        return jnp.concatenate([one_hot, code, jax.random.normal(noise, (size - categories - continuous,))])

    return draw


def information_loss(gan: GAN, *, categories: int, continuous: int) -> Loss:
    """The negative lower bound on the mutual information of images and codes, in nats up to a constant.

    It trains both networks.  Categories contribute a cross-entropy, continuous codes a Gaussian of unit variance.  The
    discriminator has as many auxiliary outputs, and `code_latents` of the same code draws the GAN's latents.

    Raises:
      ValueError: when traced, if the discriminator has too few outputs.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        latent = gan.latents(context)
        fake, generator = gan.draw(networks, context)
        condition = gan.conditioning(context)
        output, discriminator = gan.discriminate(networks, stream(context, "fake"), fake, condition)
        scores, means = jnp.split(_auxiliary(output, categories + continuous), [categories], axis=1)
        category, code = jnp.split(latent[:, : categories + continuous], [categories], axis=1)
        value = -(category * jax.nn.log_softmax(scores)).sum(-1) if categories else jnp.zeros(len(latent))
        value += 0.5 * jnp.square(means - code).sum(-1)
        return value.mean(), Aux(changes={gan.generator_name: generator, gan.discriminator_name: discriminator})

    return loss


def _class_loss(gan: GAN, networks: Networks, context: Context, images: Array) -> tuple[Array, dict]:
    one_hot = gan.conditions["label"].encode(context.batch["label"])
    output, changes = gan.discriminate(networks, stream(context, "class"), images, gan.conditioning(context))
    scores = _auxiliary(output, one_hot.shape[-1])
    return -(one_hot * jax.nn.log_softmax(scores)).sum(-1).mean(), {gan.discriminator_name: changes}


def _auxiliary(output: Array, count: int) -> Array:
    """The auxiliary outputs [B, count]."""
    if output.ndim != 2 or output.shape[1] < 1 + count:
        shape = list(output.shape)
        raise ValueError(f"The discriminator's outputs are {shape}; expected [B, {1 + count}]: auxiliary={count}.")
    return output[:, 1 : 1 + count]


def _require_labels(gan: GAN) -> None:
    if "label" not in gan.conditions:
        raise ValueError("This GAN has no labels as conditions: give it conditions=labels(classes).")
