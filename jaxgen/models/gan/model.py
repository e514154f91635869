"""Generative adversarial networks.  Goodfellow et al. (2014), https://arxiv.org/abs/1406.2661.

The networks are called "generator" and "discriminator".  In turn,

    chain(discriminator=minimize(discriminator_loss(...), ...), generator=minimize(generator_loss(...), ...))

or at once: `simultaneous(adversarial_game(...), ...)`.  Both need one forward pass of the generator, the first if its
links look at the same images: `share_images(gan, chain(...))`.

Both networks may be told a condition, the generator that of the batch beside it: the labels it draws have the
frequencies of the data.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.batch import devices, shard_batch
from jaxgen.core.condition import Conditions, conditioning, example_conditioning
from jaxgen.core.image import to_float
from jaxgen.core.metrics import mean
from jaxgen.core.objective import stream
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Context, Game, Loss, Networks, Variables
from jaxgen.core.sampler import image_keys
from jaxgen.models.latents.controls import Controls
from jaxgen.nets import Module, dense_outputs, forward

DiscriminatorObjective = Callable[[Array, Array], Array]
"""Logits [B] of real and of fake images to a cost [B]."""

GeneratorObjective = Callable[[Array], Array]
"""Logits [B] of fake images to a cost [B]."""

Augment = Callable[[Networks, Array, Array], Array]
"""Networks, a key and images float32 [B, H, W, C] to images that the discriminator sees instead."""


class GAN(NamedTuple):
    """A generator of latents [B, Z] to images, and a discriminator of images to logits [B].

    A discriminator with more outputs, [B, 1 + A], tells real from fake by the first and what else there is to tell by
    the others.  `draw_latent` makes a latent [Z] of a key and Z; by default it is standard normal.
    """

    generator: Module
    discriminator: Module
    latent_size: int
    conditions: Conditions = {}
    augment: Augment | None = None
    draw_latent: Callable[[Array, int], Array] = lambda key, size: jax.random.normal(key, (size,))

    def init(self, key: Array) -> dict[str, Variables]:
        """Both networks' variables."""
        generator, discriminator = jax.random.split(key)
        condition = example_conditioning(self.conditions)
        latent = jnp.zeros((1, self.latent_size))
        image, variables = self.generator.init_with_output(generator, latent, *condition, train=False)
        return {
            "generator": variables,
            "discriminator": self.discriminator.init(discriminator, image, *condition, train=False),
        }

    def latents(self, context: Context) -> Array:
        """As many latents [B, Z] as the batch has images: its `latent` if it has them."""
        if "latent" in context.batch:
            return context.batch["latent"]
        size = devices() * len(context.batch["image"])
        keys = jax.random.split(context.key, size)
        return shard_batch(jax.vmap(lambda key: self.draw_latent(key, self.latent_size))(keys))

    def generate(
        self, variables: Variables, latent: Array, *condition: Array, train: bool, key: Array | None = None
    ) -> tuple[Array, Variables]:
        """Images float32 [B, H, W, C] of latents [B, Z], and the generator's changed collections."""
        return forward(self.generator, variables, latent, *condition, train=train, key=key)

    def draw(self, networks: Networks, context: Context) -> tuple[Array, Variables]:
        """As many training images as the batch has, and the generator's changed collections.

        Inside `share_images` all losses get the same images.
        """
        if "drawn" in context.batch:
            return context.batch["drawn"].again(networks)
        condition = conditioning(self.conditions, context.batch)
        key = stream(context, "dropout").key
        return self.generate(networks["generator"], self.latents(context), *condition, train=True, key=key)

    def discriminate(
        self, networks: Networks, context: Context, images: Array, condition: tuple[Array, ...], *, train: bool = True
    ) -> tuple[Array, Variables]:
        """All outputs for images, augmented if they are to be, and the discriminator's changed collections."""
        if self.augment:
            images = self.augment(networks, context.key, images)
        key = stream(context, "dropout").key
        return forward(self.discriminator, networks["discriminator"], images, *condition, train=train, key=key)

    def judge(self, networks: Networks, context: Context, real: Array, fake: Array) -> tuple[Array, Array, Variables]:
        """Training logits [B] of real and of fake images, and what both, in this order, changed in the discriminator.

        Each kind is a batch of its own, to a layer such as BatchNorm and to the caches of a CPU.
        """
        condition = conditioning(self.conditions, context.batch)
        real_output, changes = self.discriminate(networks, stream(context, "real"), real, condition)
        networks = {**networks, "discriminator": {**networks["discriminator"], **changes}}
        fake_output, changes = self.discriminate(networks, stream(context, "fake"), fake, condition)
        return logits(real_output), logits(fake_output), changes

    def sampler(self, network: str) -> Sampler:
        """The function from networks, typed keys [B] and the condition's field [B, ...] if there is one to images.

        They are drawn by the generator called `network`.
        """

        def sample(networks: Networks, keys: Array, *field: Array) -> Array:
            latent = jax.vmap(lambda key: self.draw_latent(key, self.latent_size))(keys)
            return self.generate(networks[network], latent, *conditioning(self.conditions, fields), train=False)[0]

        return sample

    def controls(self, network: str) -> Callable[[Networks], Controls]:
        """What can be steered of the generator called `network`; codes are latents, [N, 1, Z]."""

        def controls(networks: Networks) -> Controls:
            variables = networks[network]

            def draw(seed: Array, index: Array) -> Array:
                return jax.vmap(lambda key: self.draw_latent(key, self.latent_size))(image_keys(seed, index))

            def generate(codes: Array, latents: Array, *field: Array) -> Array:  # noqa: ARG001
                return self.generate(variables, codes[:, 0], *conditioning(self.conditions, fields), train=False)[0]

            def first_layer(codes: Array) -> Array:
                condition = example_conditioning(self.conditions, codes.shape[0])
                return dense_outputs(self.generator, variables, codes[:, 0], *condition, train=False)[0]

            def judge(images: Array, *field: Array) -> Array:
                given = images, *conditioning(self.conditions, fields)
                return logits(forward(self.discriminator, networks["discriminator"], *given, train=False)[0])

            return Controls(draw, lambda latents, *_: latents[:, None], generate, first_layer, judge)

        return controls


def logits(output: Array) -> Array:
    """The logits [B] in a discriminator's outputs [B] or [B, 1 + A]."""
    return output if output.ndim == 1 else output[:, 0]


def discriminator_loss(gan: GAN, objective: DiscriminatorObjective) -> Loss:
    """The discriminator's side of the game, averaged over the batch."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        fake, _ = gan.draw(networks, context)
        real_logits, fake_logits, changes = gan.judge(networks, context, to_float(context.batch["image"]), fake)
        metrics = {"real_logit": mean(real_logits), "fake_logit": mean(fake_logits)}
        return objective(real_logits, fake_logits).mean(), Aux(metrics, {"discriminator": changes})

    return loss


def generator_loss(gan: GAN, objective: GeneratorObjective) -> Loss:
    """The generator's side of the game, averaged over the batch."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        fake, generator = gan.draw(networks, context)
        condition = conditioning(gan.conditions, context.batch)
        output, discriminator = gan.discriminate(networks, stream(context, "fake"), fake, condition)
        changes = {"generator": generator, "discriminator": discriminator}
        return objective(logits(output)).mean(), Aux(changes=changes)

    return loss


def relativistic_generator_loss(gan: GAN, objective: DiscriminatorObjective) -> Loss:
    """The generator's side of a relativistic game: the discriminator's objective with real and fake swapped."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        fake, generator = gan.draw(networks, context)
        real_logits, fake_logits, changes = gan.judge(networks, context, to_float(context.batch["image"]), fake)
        value = objective(fake_logits, real_logits).mean()
        return value, Aux(changes={"generator": generator, "discriminator": changes})

    return loss


def adversarial_game(gan: GAN, discriminator: DiscriminatorObjective, generator: GeneratorObjective) -> Game:
    """Both sides of the game from one forward pass of each network."""

    def game(networks: Networks, context: Context) -> tuple[dict[str, Array], Aux]:
        fake, generator_changes = gan.draw(networks, context)
        real_logits, fake_logits, changes = gan.judge(networks, context, to_float(context.batch["image"]), fake)
        metrics = {"real_logit": mean(real_logits), "fake_logit": mean(fake_logits)}
        losses = {
            "discriminator": discriminator(real_logits, fake_logits).mean(),
            "generator": generator(fake_logits).mean(),
        }
        return losses, Aux(metrics, {"generator": generator_changes, "discriminator": changes})

    return game
