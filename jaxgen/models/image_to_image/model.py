"""Networks from an image to an image.

The network is called "generator".  A `Task` makes its inputs of images, a `Likelihood` says what its numbers mean, and
the loss is a distance of what it makes, or minus the log likelihood (cross-entropy):

    minimize(restoration_loss(model, absolute_error), tx, wrt="generator")

Without a task it is told a condition alone: an image of labels or of any features.

pix2pix, Isola et al. (2017), https://arxiv.org/abs/1611.07004, equation (4), is a chain with the GAN's losses.  Inside
`share_inputs` they judge what the network makes, beside the input that it is made of:

    gan = translation_game(model, PatchDiscriminator(), spec)
    share_inputs(model, chain(
        discriminator=minimize(discriminator_loss(gan, logistic_discriminator), tx, wrt="discriminator"),
        generator=minimize(
            add(
                adversarial=generator_loss(gan, non_saturating_generator),
                near=scale(100.0, restoration_loss(model, absolute_error)),
            ),
            tx,
            wrt="generator",
        ),
    ))
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.batch import devices, shard_batch
from jaxgen.core.condition import Conditions, conditioning
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.metrics import Metrics, mean
from jaxgen.core.objective import stream
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Batch, Context, Loss, Networks, OptState, Update, Variables
from jaxgen.losses import Distance, Likelihood, gaussian, require_num_params, squared_error
from jaxgen.models.gan.model import GAN
from jaxgen.models.image_to_image.tasks import Task
from jaxgen.nets import Module, forward


class Made(NamedTuple):
    """What a network makes of a batch: a likelihood's numbers, images float32 [B, H, W, C], what changed in it."""

    dist_params: Array
    images: Array
    changes: Variables


class ImageToImage(NamedTuple):
    """A network of a task's inputs [B, H, W, C'] and perhaps a condition [B, F] to a likelihood's numbers."""

    network: Module
    task: Task | None
    likelihood: Likelihood = gaussian()
    conditions: Conditions = {}

    def init(self, key: Array, batch: Batch) -> dict[str, Variables]:
        """The network's variables; `batch` shows what an example is.

        Raises:
          ValueError: the network gives the likelihood too few or too many numbers.
        """
        given = (*self.inputs(Context(batch, key, jnp.int32(0))), *conditioning(self.conditions, batch))
        dist_params, variables = self.network.init_with_output(key, *given, train=False)
        require_num_params(self.likelihood, dist_params, batch["image"].shape[-1])
        return {"generator": variables}

    def inputs(self, context: Context) -> tuple[Array, ...]:
        """The task's inputs of a batch, or nothing without a task; inside `share_inputs` the same for all losses."""
        if self.task is None:
            return ()
        if "input" in context.batch:
            return (context.batch["input"],)
        images = to_float(context.batch["image"])
        keys = jax.random.split(stream(context, "inputs").key, devices() * len(images))
        return (self.task.degrade(shard_batch(keys), images),)

    def make(self, networks: Networks, context: Context) -> Made:
        """What the network makes of a batch in training."""
        inputs, condition = self.inputs(context), conditioning(self.conditions, context.batch)
        key = stream(context, "dropout").key
        dist_params, changes = forward(self.network, networks["generator"], *inputs, *condition, train=True, key=key)
        return Made(dist_params, self._images(inputs, dist_params), changes)

    def restore(self, variables: Variables, *inputs: Array) -> Array:
        """Images float32 [B, H, W, C] of a task's inputs if there is a task, then the condition [B, F] if there is one.

        They agree with the inputs as far as those say something exactly.
        """
        dist_params, _ = forward(self.network, variables, *inputs, train=False)
        return self._images(inputs, dist_params)

    def sampler(self, network: str) -> Sampler:
        """The function from networks and typed keys [B] to images that the generator called `network` makes.

        With a task it is told images uint8 [B, H, W, C] (the condition `images(spec)`), which the task degrades, each
        by its key; after that, or without a task, the condition's field [B, ...] if there is one.
        """

        def sample(networks: Networks, keys: Array, *field: Array) -> Array:
            inputs = ()
            if self.task is not None:
                inputs, field = (self.task.degrade(keys, to_float(field[0])),), field[1:]
            return self.restore(networks[network], *inputs, *conditioning(self.conditions, fields))

        return sample

    def restorer(self, network: str) -> Callable[[Networks], Callable[[Array, Array], Array]]:
        """What the generator called `network` makes of images that something has been done to already.

        Of networks it is the function from images float32 [B, H, W, C] and where they are known, bool [B, H, W, 1], to
        such images.

        Raises:
          ValueError: there is no task, or the network is told something besides.
        """
        if self.task is None or self.condition is not None:
            raise ValueError("A restorer is of a model with a task, whose network is told nothing besides.")
        given = self.task.given
        return lambda networks: lambda images, known: self.restore(networks[network], given(images, known))

    def _images(self, inputs: tuple[Array, ...], dist_params: Array) -> Array:
        images = self.likelihood.mean(dist_params)
        return images if self.task is None else self.task.complete(inputs[0], images)


def restoration_loss(model: ImageToImage, distance: Distance) -> Loss:
    """The distance of what the network makes from the images, averaged over the batch."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        made, truth = model.make(networks, context), to_float(context.batch["image"])
        return distance(made.images, truth).mean(), Aux(
            peak_signal_to_noise(made.images, truth), {"generator": made.changes}
        )

    return loss


def likelihood_loss(model: ImageToImage) -> Loss:
    """Minus the log likelihood of the images, in nats an image, averaged over the batch.

    With a `categorical` likelihood it is the cross-entropy over 256 levels.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        made, images = model.make(networks, context), context.batch["image"]
        nats = -model.likelihood.log_prob(made.dist_params, images)
        return nats.mean(), Aux(peak_signal_to_noise(made.images, to_float(images)), {"generator": made.changes})

    return loss


def peak_signal_to_noise(made: Array, truth: Array) -> Metrics:
    """How near images made [B, H, W, C] in [-1, 1] are to the truth, in decibels, as the metric `psnr`."""
    return {"psnr": mean(10 * jnp.log10(4 / jnp.maximum(squared_error(made, truth), 1e-10)))}


class Restored(NamedTuple):
    """What a network makes of shared inputs, in place of what a GAN draws."""

    model: ImageToImage
    context: Context

    def again(self, networks: Networks) -> tuple[Array, Variables]:
        """The images, as a function of the generator's parameters, and the collections that changed."""
        made = self.model.make(networks, self.context)
        return made.images, made.changes


def translation_game(model: ImageToImage, discriminator: Module, spec: ImageSpec) -> GAN:
    """The game in which a discriminator tells true images from those that the network makes, each beside the input.

    `discriminator` takes images and inputs [B, H, W, C'] to logits [B].  Its losses are those of any GAN, inside
    `share_inputs`.  Their variables are `translation_networks`.

    Raises:
      ValueError: the model has no task, whose input the discriminator would be shown, or is told something besides.
    """
    if model.task is None or model.condition is not None:
        raise ValueError(
            "translation_game was given a model without a task or with a condition; expected a task alone."
        )
    batch = {"image": jnp.zeros((1, *spec), jnp.uint8)}
    (inputs,) = jax.eval_shape(lambda key: model.inputs(Context(batch, key, jnp.int32(0))), jax.random.key(0))
    shape = inputs.shape[1:]
    condition = Condition("input", math.prod(shape), shape, "float32", 0, lambda array: array)
    return GAN(model.network, discriminator, latent_size=0, condition=condition)


def translation_networks(model: ImageToImage, gan: GAN, key: Array, batch: Batch) -> dict[str, Variables]:
    """Both networks' variables for a `translation_game`; `batch` shows what an example is."""
    generator, discriminator = jax.random.split(key)
    image = to_float(batch["image"])
    given = image, *model.inputs(Context(batch, key, jnp.int32(0)))
    return {
        **model.init(generator, batch),
        "discriminator": gan.discriminator.init(discriminator, *given, train=False),
    }


def share_inputs(model: ImageToImage, update: Update) -> Update:
    """The update with inputs made once for all losses of a step, and what the network makes of them as a GAN's images.

    Each loss looks at it with the network as it is then.
    """

    def shared(networks: Networks, opt_state: OptState, context: Context):
        (inputs,) = model.inputs(context)
        context = context._replace(batch={**context.batch, "input": inputs})
        batch = {**context.batch, "drawn": Restored(model, context)}
        return update.update(networks, opt_state, context._replace(batch=batch))

    return update._replace(update=shared)
