"""A prior of a VQ-VAE's codes: van den Oord et al. (2017), https://arxiv.org/abs/1711.00937, section 4.1.

It predicts each code's distribution from the codes before it in raster order; a VQ-VAE decodes its samples.  It trains
on the codes of the current encoder:

    chain(vqvae=minimize(vector_quantized_loss(model), ...), prior=minimize(code_prior_loss(model, prior), ...))
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.condition import Conditions, Fields, conditioning, example_conditioning
from jaxgen.core.metrics import mean
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Variables
from jaxgen.losses import require_temperature
from jaxgen.models.autoregressive.incremental import Canvas, Draw, draw_incrementally
from jaxgen.models.autoregressive.vqvae import VQVAE
from jaxgen.nets import Module, forward


class CodePrior(NamedTuple):
    """A network from one-hot maps [B, h, w, K] to logits [B, h, w, K], each code's from the codes before it.

    `sides` are h and w, `codes` is K; `conditions` and `draw` are those of `PixelCNN`.
    """

    network: Module
    codes: int
    sides: tuple[int, int]
    conditions: Conditions = {}
    draw: Draw = draw_incrementally
    name: str = "prior"

    def init(self, key: Array) -> dict[str, Variables]:
        """The network's variables.

        Raises:
          ValueError: it does not give one logit for each code.
        """
        inputs = jnp.zeros((1, *self.sides, self.codes)), *example_conditioning(self.conditions)
        logits, variables = self.network.init_with_output(key, *inputs, train=False)
        if logits.shape != inputs[0].shape:
            raise ValueError(f"The prior's network gives {list(logits.shape)}; expected {list(inputs[0].shape)}.")
        return {self.name: variables}

    def log_prob(self, networks: Networks, codes: Array, *condition: Array) -> Array:
        """Log p [B], in nats, of codes int32 [B, h, w]."""
        return self.evaluate(networks, codes, *condition, train=False)[0]

    def evaluate(
        self, networks: Networks, codes: Array, *condition: Array, train: bool, key: Array | None = None
    ) -> tuple[Array, Variables]:
        """Log p [B], in nats, of codes int32 [B, h, w], and the network's mutated collections."""
        one_hot = jax.nn.one_hot(codes, self.codes)
        logits, changes = forward(self.network, networks[self.name], one_hot, *condition, train=train, key=key)
        return (jax.nn.log_softmax(logits) * one_hot).sum((-3, -2, -1)), changes

    def code_sampler(self, temperature: float = 1.0) -> Callable[[Networks, Array, Fields], Array]:
        """Draws codes int32 [B, h, w] for networks, typed keys [B] and the fields of the conditions.

        Raises:
          ValueError: the temperature is not above 0.
        """
        require_temperature(temperature)

        def choose(key: Array, logits: Array) -> Array:
            return jax.random.categorical(key, logits / temperature)[..., None].astype(jnp.int32)

        def sample(networks: Networks, keys: Array, fields: Fields) -> Array:
            unknown = jnp.zeros((keys.shape[0], *self.sides, 1), jnp.int32)
            known = jnp.zeros(self.sides, bool)
            canvas = Canvas(unknown, known, keys, lambda codes: jax.nn.one_hot(codes[..., 0], self.codes), choose)
            return self.draw(self.network, networks[self.name], canvas, *conditioning(self.conditions, fields))[..., 0]

        return sample


def code_prior_loss(model: VQVAE, prior: CodePrior) -> Loss:
    """The negative log-likelihood of the codes of a batch, in nats per image; a metric is in bits per code.

    Raises:
      ValueError: the prior has another number of codes than the model; or, when traced, maps of another size.
    """
    if model.codes != prior.codes:
        raise ValueError(f"A prior of {prior.codes} codes was given for a model of {model.codes}.")

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        codes, _, _ = model.encode(networks, context.batch["image"])
        if codes.shape[1:] != prior.sides:
            raise ValueError(f"A prior of maps {list(prior.sides)} was given for codes {list(codes.shape[1:])}.")
        condition = conditioning(prior.conditions, context.batch)
        logs, changes = prior.evaluate(networks, codes, *condition, train=True, key=context.key)
        nats = -logs
        bits = nats / (math.prod(prior.sides) * math.log(2))
        return nats.mean(), Aux({"nll": mean(nats), "bits_per_code": mean(bits)}, {prior.name: changes})

    return loss


def vqvae_sampler(model: VQVAE, prior: CodePrior, temperature: float = 1.0) -> Sampler:
    """Draws codes from the prior and images as the likelihood's means.

    Raises:
      ValueError: the temperature is not above 0.
    """
    draw_codes = prior.code_sampler(temperature)

    def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
        return model.likelihood.mean(model.decode(networks, draw_codes(networks, keys, fields)))

    return Sampler(draw, prior.conditions)
