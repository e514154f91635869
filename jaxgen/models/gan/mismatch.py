"""A discriminator that also learns what goes with an image.  Reed et al. (2016), https://arxiv.org/abs/1605.05396."""

import jax.numpy as jnp

from jaxgen.core.batch import mean_over_devices, next_examples
from jaxgen.core.condition import conditioning
from jaxgen.core.image import to_float
from jaxgen.core.metrics import mean
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.models.gan.model import GAN, DiscriminatorObjective, logits


def mismatched_loss(gan: GAN, objective: DiscriminatorObjective) -> Loss:
    """The cost of telling real images from real images that are told what goes with the next one of the batch.

    The paper's s_w, for the discriminator.  Examples whose next one has the same label, or is told the same, are left
    out.

    Raises:
      ValueError: the GAN is told nothing.
    """
    condition_of = gan.condition
    if condition_of is None:
        raise ValueError("mismatched_loss was given a GAN that is told nothing; expected one with a condition.")

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        image, condition = to_float(context.batch["image"]), told(condition_of, context.batch)
        name = "label" if "label" in context.batch else condition_of.field
        field = context.batch[name].reshape(len(image), -1)
        differs = (field != next_examples(field)).any(1)
        own, other = (
            logits(gan.discriminate(networks, stream(context, "real"), image, given, train=False)[0])
            for given in (condition, tuple(next_examples(array) for array in condition))
        )
        share = jnp.maximum(mean_over_devices(differs.mean()), 1 / len(image))
        value = jnp.where(differs, objective(own, other), 0).mean() / share
        return value, Aux({"mismatched_logit": mean(other)})

    return loss
