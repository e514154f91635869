"""Networks from an image to an image.

A `Task` degrades images to the network's inputs, a `Likelihood` interprets the network's outputs, and the
loss is a distance of the restored image from the truth, or the negative log-likelihood (cross-entropy):

    minimize(restoration_loss(model, absolute_error), tx, wrt="generator")

Without a task the network has conditions alone: an image from labels or from any features.

pix2pix, Isola et al. (2017), https://arxiv.org/abs/1611.07004, equation (4), is a chain with the losses of a GAN whose
discriminator sees each image, true or restored, beside the task's input:

    gan = translation_game(model, PatchDiscriminator())
    share_inputs(model, gan, chain(
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

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import Conditions, Fields, conditioning, example_conditioning, images
from jaxgen.core.controls import Restorer
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.metrics import Metrics, mean
from jaxgen.core.objective import share, shared, stream
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, OptState, Update, Variables
from jaxgen.losses import Distance, Likelihood, gaussian, require_num_params, squared_error
from jaxgen.models.gan.model import GAN
from jaxgen.models.image_to_image.tasks import Task
from jaxgen.nets import Module, forward


class Restoration(NamedTuple):
    """A batch restored: distribution parameters, images float32 [B, H, W, C], and mutated collections."""

    dist_params: Array
    images: Array
    changes: Variables


class ImageToImage(NamedTuple):
    """A network from a task's inputs [B, H, W, C'], and perhaps a condition [B, F], to a likelihood's parameters."""

    network: Module
    task: Task | None
    likelihood: Likelihood = gaussian()
    conditions: Conditions = {}
    name: str = "generator"

    def init(self, key: Array, spec: ImageSpec) -> dict[str, Variables]:
        """The network's variables for images of a size.

        Raises:
          ValueError: the network's outputs do not parametrise the likelihood.
        """
        inputs = *self.example_inputs(spec), *example_conditioning(self.conditions)
        dist_params, variables = self.network.init_with_output(key, *inputs, train=False)
        require_num_params(self.likelihood, dist_params, spec.channels)
        return {self.name: variables}

    def example_inputs(self, spec: ImageSpec) -> tuple[Array, ...]:
        """Zeros with the shapes of the task's inputs for one image, or nothing without a task."""
        context = Context({"image": jnp.zeros((1, *spec), jnp.uint8)}, jax.random.key(0), jnp.int32(0))
        shapes = jax.eval_shape(lambda: self.inputs(context))
        return tuple(jnp.zeros(array.shape, array.dtype) for array in shapes)

    def inputs(self, context: Context) -> tuple[Array, ...]:
        """The task's inputs for a batch, or nothing without a task; inside `share_inputs` the same for all losses."""
        if self.task is None:
            return ()
        if (inputs := shared(context, self)) is not None:
            return (inputs,)
        images = to_float(context.batch["image"])
        keys = draw_batch(jax.random.split, stream(context, "inputs").key, images.shape[:1])
        return (self.task.degrade(keys, images),)

    def restore_batch(self, networks: Networks, context: Context) -> Restoration:
        """Degrades and restores a batch, in training."""
        inputs, condition = self.inputs(context), conditioning(self.conditions, context.batch)
        key = stream(context, "dropout").key
        dist_params, changes = forward(self.network, networks[self.name], *inputs, *condition, train=True, key=key)
        return Restoration(dist_params, self._images(inputs, dist_params), changes)

    def restore(self, variables: Variables, *inputs: Array) -> Array:
        """Images float32 [B, H, W, C] from a task's inputs, if there is a task, and the conditioning inputs.

        They are consistent with what the task's inputs determine exactly.
        """
        dist_params, _ = forward(self.network, variables, *inputs, train=False)
        return self._images(inputs, dist_params)

    def sampler(self, spec: ImageSpec | None = None) -> Sampler:
        """Restores images of the size `spec`, or draws them if there is no task (and no `spec`).

        With a task the original images are a condition, `images(spec)`; the task degrades each by its own key.

        Raises:
          ValueError: there is a task and no `spec`, or a `spec` and no task.
        """
        if (self.task is None) != (spec is None):
            raise ValueError("sampler(spec) is for a model with a task, sampler() for one without.")

        def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
            inputs = () if self.task is None else (self.task.degrade(keys, to_float(fields["image"])),)
            return self.restore(networks[self.name], *inputs, *conditioning(self.conditions, fields))

        originals = {} if spec is None else images(spec)
        return Sampler(draw, {**originals, **self.conditions})

    @property
    def restorer(self) -> Callable[[Networks], Restorer]:
        """From networks to a function that restores already degraded images, given their known pixels.

        Raises:
          ValueError: there is no task, or there are conditions.
        """
        if self.task is None or self.conditions:
            raise ValueError("A restorer needs a model with a task and without conditions.")
        observation = self.task.observation

        def bind(networks: Networks) -> Restorer:
            return lambda images, known: self.restore(networks[self.name], observation(images, known))

        return bind

    def _images(self, inputs: tuple[Array, ...], dist_params: Array) -> Array:
        made = self.likelihood.mean(dist_params)
        return made if self.task is None else self.task.complete(inputs[0], made)


def restoration_loss(model: ImageToImage, distance: Distance) -> Loss:
    """The distance of restored images from the truth, averaged over the batch."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        made, truth = model.restore_batch(networks, context), to_float(context.batch["image"])
        metrics = peak_signal_to_noise(made.images, truth)
        return distance(made.images, truth).mean(), Aux(metrics, {model.name: made.changes})

    return loss


def likelihood_loss(model: ImageToImage) -> Loss:
    """The negative log-likelihood of the images, in nats per image, averaged over the batch.

    With a `categorical` likelihood it is the cross-entropy over 256 levels.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        made, truth = model.restore_batch(networks, context), context.batch["image"]
        nats = -model.likelihood.log_prob(made.dist_params, truth)
        return nats.mean(), Aux(peak_signal_to_noise(made.images, to_float(truth)), {model.name: made.changes})

    return loss


def peak_signal_to_noise(made: Array, truth: Array) -> Metrics:
    """The peak signal-to-noise ratio of images [B, H, W, C] in [-1, 1], in decibels, as the metric `psnr`."""
    return {"psnr": mean(10 * jnp.log10(4 / jnp.maximum(squared_error(made, truth), 1e-10)))}


class SharedRestoration(NamedTuple):
    """Restored images in place of those that a GAN draws, with the inputs as the discriminator's condition.

    Each loss restores them with the generator as it is then.
    """

    model: ImageToImage
    context: Context
    conditioning: tuple[Array, ...]

    @property
    def latents(self) -> Array:
        """No latents: [B, 0]."""
        return jnp.zeros((len(self.context.batch["image"]), 0))

    def images(self, networks: Networks) -> tuple[Array, Variables]:
        """The restored images as a function of the generator's parameters, and its mutated collections."""
        made = self.model.restore_batch(networks, self.context)
        return made.images, made.changes


def translation_game(model: ImageToImage, discriminator: Module) -> GAN:
    """The game in which a discriminator distinguishes true from restored images, each beside the task's input.

    `discriminator` takes images and inputs [B, H, W, C'] to logits [B].  Its losses are those of any GAN, inside
    `share_inputs`; the variables are `translation_networks`.

    Raises:
      ValueError: the model has no task, or has conditions; or, when traced, a loss is outside `share_inputs`.
    """
    if model.task is None or model.conditions:
        raise ValueError("translation_game was given a model without a task or with conditions; expected a task alone.")

    def outside(key: Array, size: int) -> Array:  # noqa: ARG001
        raise ValueError("A translation_game has no latents: its losses work inside share_inputs(model, gan, update).")

    return GAN(model.network, discriminator, latent_size=0, generator_name=model.name, draw_latent=outside)


def translation_networks(model: ImageToImage, gan: GAN, key: Array, spec: ImageSpec) -> dict[str, Variables]:
    """The variables of both networks of a `translation_game` for images of a size."""
    generator, discriminator = jax.random.split(key)
    inputs = jnp.full((1, *spec), -1.0), *model.example_inputs(spec)
    return {
        **model.init(generator, spec),
        gan.discriminator_name: gan.discriminator.init(discriminator, *inputs, train=False),
    }


def share_inputs(model: ImageToImage, gan: GAN, update: Update) -> Update:
    """The update with inputs that are made once for all losses of a step, and restored images in place of the GAN's."""

    def shared_inputs(networks: Networks, opt_state: OptState, context: Context):
        (inputs,) = model.inputs(context)
        context = share(context, model, inputs)
        restoration = SharedRestoration(model, context, (inputs,))
        return update.update(networks, opt_state, share(context, gan.drawing, restoration))

    return update._replace(update=shared_inputs)
