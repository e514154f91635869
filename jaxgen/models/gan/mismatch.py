"""Matching-aware discriminators.  Reed et al. (2016), https://arxiv.org/abs/1605.05396."""

import jax.numpy as jnp

from jaxgen.core.batch import mean_over_devices, next_examples
from jaxgen.core.image import to_float
from jaxgen.core.metrics import mean
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.models.gan.model import GAN, DiscriminatorObjective, logits


def mismatched_loss(gan: GAN, objective: DiscriminatorObjective) -> Loss:
    """The matching-aware loss: real images against real images with mismatched conditions, the paper's s_w.

    It trains the discriminator.  An image's mismatched condition is that of the next image of the batch; pairs with the
    same label, or the same condition, are left out.

    Raises:
      ValueError: when traced, if the GAN is unconditional.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        image, condition = to_float(context.batch["image"]), gan.conditioning(context)
        if not condition:
            raise ValueError("mismatched_loss was given an unconditional GAN; expected one with conditions.")
        names = ["label"] if "label" in context.batch else list(gan.conditions)
        fields = [array.reshape(len(image), -1) for array in [context.batch[name] for name in names] or condition]
        differs = jnp.stack([(field != next_examples(field)).any(1) for field in fields]).any(0)
        mismatched = tuple(next_examples(array) for array in condition)
        own, other = (
            logits(gan.discriminate(networks, stream(context, "real"), image, inputs, train=False)[0])
            for inputs in (condition, mismatched)
        )
        share = jnp.maximum(mean_over_devices(differs.mean()), 1 / len(image))
        value = jnp.where(differs, objective(own, other), 0).mean() / share
        return value, Aux({"mismatched_logit": mean(other)})

    return loss
