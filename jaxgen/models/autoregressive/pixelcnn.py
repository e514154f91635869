"""Autoregressive models of images.

The network is called "pixelcnn".  With pixels in reading order,

    log p(x) = sum_i log p(x_i | x_1, ..., x_{i-1})

is exact and the loss is its negative.  The channels of a pixel are independent given the pixels before it under
`bernoulli` and `categorical`; under `discretized_logistic_mixture` each depends on those before it.  The images must be
ones that the likelihood can draw: black and white for `bernoulli`, its levels for `categorical`.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.condition import Conditions, conditioning
from jaxgen.core.image import ImageSpec, to_float, to_uint8
from jaxgen.core.metrics import mean
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Batch, Context, Loss, Networks, Variables
from jaxgen.losses import Likelihood, require_num_params, tempered
from jaxgen.models.autoregressive.incremental import Canvas, Draw, draw_incrementally
from jaxgen.nets import Module, forward


class PixelCNN(NamedTuple):
    """A network of images to the numbers of a likelihood, those of a pixel from the pixels before it.

    `draw` says how images are drawn; networks that cannot be evaluated a pixel at a time need `draw_naively`.
    """

    network: Module
    likelihood: Likelihood
    spec: ImageSpec
    conditions: Conditions = {}
    draw: Draw = draw_incrementally

    def init(self, key: Array, batch: Batch) -> dict[str, Variables]:
        """The network's variables; `batch` shows what an example is.

        Raises:
          ValueError: the network gives the likelihood too few or too many numbers.
        """
        given = to_float(batch["image"]), *conditioning(self.conditions, batch)
        dist_params, variables = self.network.init_with_output(key, *given, train=False)
        require_num_params(self.likelihood, dist_params, self.spec.channels)
        return {"pixelcnn": variables}

    def log_prob(self, networks: Networks, batch: Batch) -> Array:
        """Log p(x) [B] of a batch, in nats."""
        given = to_float(batch["image"]), *conditioning(self.conditions, batch)
        return self.likelihood.log_prob(
            forward(self.network, networks["pixelcnn"], *given, train=False)[0], batch["image"]
        )

    def sampler(self, temperature: float = 1.0) -> Sampler:
        """The function from networks, typed keys [B] and the condition's field [B, ...] if there is one to images.

        Raises:
          ValueError: the temperature is not above 0, or the likelihood has none.
        """

        def sample(networks: Networks, keys: Array, *field: Array) -> Array:
            images = jnp.zeros((keys.shape[0], *self.spec), jnp.uint8)
            return to_float(finish(networks, keys, images, *field))

        finish = self.completion(jnp.zeros(self.spec[:2], bool), temperature)
        return sample

    def completion(self, known: Array, temperature: float = 1.0) -> Sampler:
        """The function from networks, typed keys [B], images uint8 [B, H, W, C] and the condition's field to such.

        The pixels that are `known`, bool [H, W], are kept, the others are drawn given those before them.  A
        `temperature` below 1 makes what is likely more so.

        Raises:
          ValueError: the mask is not of the image's size, the temperature not above 0, or the likelihood has none.
        """
        if known.shape != self.spec[:2] or known.dtype != bool:
            expected = list(self.spec[:2])
            raise ValueError(f"A mask {known.dtype}{list(known.shape)} was given; expected bool{expected}.")
        choose = tempered(self.likelihood, temperature).sample

        def complete(networks: Networks, keys: Array, images: Array, *field: Array) -> Array:
            canvas = Canvas(images, known, keys, to_float, lambda key, dist_params: to_uint8(choose(key, dist_params)))
            return self.draw(self.network, networks["pixelcnn"], canvas, *conditioning(self.conditions, fields))

        return complete


def pixelcnn_loss(model: PixelCNN) -> Loss:
    """The negative log-likelihood, averaged over the batch, in nats an image; a metric tells it in bits too."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        given = to_float(context.batch["image"]), *conditioning(model.conditions, context.batch)
        dist_params, changes = forward(model.network, networks["pixelcnn"], *given, train=True, key=context.key)
        nats = -model.likelihood.log_prob(dist_params, context.batch["image"])
        metrics = {"nll": mean(nats), "bits_per_dim": mean(nats / (math.prod(model.spec) * math.log(2)))}
        return nats.mean(), Aux(metrics, {"pixelcnn": changes})

    return loss


def completions(
    model: PixelCNN, networks: Networks, batch: Batch, *, columns: int = 4, temperature: float = 1.0
) -> Array:
    """A row for each image: its upper half, completions of that, and itself; uint8 [B, columns + 2, H, W, C]."""
    height, width, _ = model.spec
    known = jnp.arange(height)[:, None] < jnp.full((1, width), height // 2)
    images = jnp.asarray(batch["image"])
    many = {name: jnp.repeat(jnp.asarray(array), columns, axis=0) for name, array in batch.items()}
    keys = jax.random.split(jax.random.key(0), len(many["image"]))
    field = () if model.condition is None else (many[model.condition.field],)
    made = model.completion(known, temperature)(networks, keys, many["image"], *field)
    made = made.reshape(len(images), columns, *model.spec)
    given = jnp.where(known[..., None], images, jnp.uint8(128))
    return jnp.concatenate([given[:, None], made, images[:, None]], axis=1)
