"""Autoregressive models of images.

With pixels in raster order,

    log p(x) = sum_i log p(x_i | x_1, ..., x_{i-1})

is exact and the loss is its negative.  Under `bernoulli` and `categorical` the channels of a pixel are conditionally
independent; under `discretized_logistic_mixture` each depends on the channels before it.  The images must be in the
likelihood's support: black and white for `bernoulli`, its levels for `categorical`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.condition import Conditions, Fields, conditioning, example_conditioning
from jaxgen.core.image import ImageSpec, to_float, to_uint8
from jaxgen.core.metrics import mean
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Batch, Context, Loss, Networks, Variables
from jaxgen.losses import Likelihood, require_num_params, tempered
from jaxgen.models.autoregressive.incremental import Canvas, Draw, draw_incrementally
from jaxgen.nets import Module, forward

Complete = Callable[[Networks, Array, Array, Fields], Array]
"""Networks, typed keys [B], images uint8 [B, H, W, C] and the conditions' fields to completed images uint8."""


class PixelCNN(NamedTuple):
    """Predicts each pixel's distribution from the pixels before it.

    `draw` is the way to sample; networks that cannot be evaluated incrementally, as `jaxgen.nets.GatedPixelCNN` can by
    `down`, `right` and `place`, need `draw_naively`.
    """

    network: Module
    likelihood: Likelihood
    spec: ImageSpec
    conditions: Conditions = {}
    draw: Draw = draw_incrementally
    name: str = "pixelcnn"

    def init(self, key: Array, spec: ImageSpec) -> dict[str, Variables]:
        """The network's variables for images of a size.

        Raises:
          ValueError: the size is not the model's, or the network's outputs do not parametrise the likelihood.
        """
        if spec != self.spec:
            raise ValueError(f"A PixelCNN of images {list(self.spec)} was given images {list(spec)}.")
        inputs = jnp.full((1, *spec), -1.0), *example_conditioning(self.conditions)
        dist_params, variables = self.network.init_with_output(key, *inputs, train=False)
        require_num_params(self.likelihood, dist_params, spec.channels)
        return {self.name: variables}

    def log_prob(self, networks: Networks, batch: Batch) -> Array:
        """Log p(x) [B] of a batch, in nats."""
        inputs = to_float(batch["image"]), *conditioning(self.conditions, batch)
        dist_params, _ = forward(self.network, networks[self.name], *inputs, train=False)
        return self.likelihood.log_prob(dist_params, batch["image"])

    def sampler(self, temperature: float = 1.0) -> Sampler:
        """Draws images; a `temperature` below 1 concentrates each pixel on its modes.

        Raises:
          ValueError: the temperature is not above 0, or the likelihood is a density.
        """
        complete = self.completion(jnp.zeros(self.spec[:2], bool), temperature)

        def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
            images = jnp.zeros((keys.shape[0], *self.spec), jnp.uint8)
            return to_float(complete(networks, keys, images, fields))

        return Sampler(draw, self.conditions)

    def completion(self, known: Array, temperature: float = 1.0) -> Complete:
        """A function that keeps the `known` pixels, bool [H, W], and draws each other pixel given the pixels before it.

        Raises:
          ValueError: the mask has another size, the temperature is not above 0, or the likelihood is a density.
        """
        if known.shape != self.spec[:2] or known.dtype != bool:
            expected = list(self.spec[:2])
            raise ValueError(f"A mask {known.dtype}{list(known.shape)} was given; expected bool{expected}.")
        choose = tempered(self.likelihood, temperature).sample

        def complete(networks: Networks, keys: Array, images: Array, fields: Fields) -> Array:
            canvas = Canvas(images, known, keys, to_float, lambda key, params: to_uint8(choose(key, params)))
            return self.draw(self.network, networks[self.name], canvas, *conditioning(self.conditions, fields))

        return complete


def pixelcnn_loss(model: PixelCNN) -> Loss:
    """The negative log-likelihood, averaged over the batch, in nats per image; a metric is in bits per dimension."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        inputs = to_float(context.batch["image"]), *conditioning(model.conditions, context.batch)
        dist_params, changes = forward(model.network, networks[model.name], *inputs, train=True, key=context.key)
        nats = -model.likelihood.log_prob(dist_params, context.batch["image"])
        metrics = {"nll": mean(nats), "bits_per_dim": mean(nats / (math.prod(model.spec) * math.log(2)))}
        return nats.mean(), Aux(metrics, {model.name: changes})

    return loss


def completions(
    model: PixelCNN, networks: Networks, batch: Batch, *, columns: int = 4, temperature: float = 1.0
) -> Array:
    """A row for each image: its upper half, completions of it, and the image; uint8 [B, columns + 2, H, W, C]."""
    height, width, _ = model.spec
    known = jnp.arange(height)[:, None] < jnp.full((1, width), height // 2)
    images = jnp.asarray(batch["image"])
    many = {name: jnp.repeat(jnp.asarray(array), columns, axis=0) for name, array in batch.items()}
    keys = jax.random.split(jax.random.key(0), len(many["image"]))
    made = model.completion(known, temperature)(networks, keys, many["image"], many)
    made = made.reshape(len(images), columns, *model.spec)
    halves = jnp.where(known[..., None], images, jnp.uint8(128))
    return jnp.concatenate([halves[:, None], made, images[:, None]], axis=1)
