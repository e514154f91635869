"""Generative adversarial networks.  Goodfellow et al. (2014), https://arxiv.org/abs/1406.2661.

The players take turns,

    chain(discriminator=minimize(discriminator_loss(...), ...), generator=minimize(generator_loss(...), ...))

or are updated simultaneously, `simultaneous(adversarial_game(...), ...)`.  The generator runs once
a step in both cases if the links of the chain share their images: `share_images(gan, chain(...))`.

A conditional generator draws images for the conditions of the batch, so that its labels have the frequencies of the
data.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import Conditions, Fields, conditioning, example_conditioning
from jaxgen.core.controls import Controls
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.metrics import mean
from jaxgen.core.objective import shared, stream
from jaxgen.core.sampler import Sampler, image_keys
from jaxgen.core.types import Array, Aux, Context, Game, Loss, Networks, Variables
from jaxgen.nets import Module, dense_outputs, forward

DiscriminatorObjective = Callable[[Array, Array], Array]
"""Logits [B] of real and of fake images to a cost [B]."""

GeneratorObjective = Callable[[Array], Array]
"""Logits [B] of fake images to a cost [B]."""

Augment = Callable[[Networks, Array, Array], Array]
"""Networks, a key and images float32 [B, H, W, C] to the images that the discriminator sees."""

DrawLatent = Callable[[Array, int], Array]
"""A key and Z to a latent [Z]."""


class SharedDrawing(Protocol):
    """Images that are drawn once for all losses of a step, shared under a GAN's `drawing`.

    `conditioning` replaces the conditioning inputs from the batch, unless it is None.
    """

    @property
    def latents(self) -> Array:
        """The latents [B, Z] of the images."""
        ...

    @property
    def conditioning(self) -> tuple[Array, ...] | None:
        """The conditioning inputs of both networks."""
        ...

    def images(self, networks: Networks) -> tuple[Array, Variables]:
        """The images as a function of the generator's parameters, and its mutated collections."""
        ...


class GAN(NamedTuple):
    """A generator from latents [B, Z] to images, and a discriminator from images to logits [B].

    A discriminator with auxiliary outputs, [B, 1 + A], gives its logit first.  `draw_latent` draws the latent of an
    image, by default from a standard normal.
    """

    generator: Module
    discriminator: Module
    latent_size: int
    conditions: Conditions = {}
    augment: Augment | None = None
    draw_latent: DrawLatent = lambda key, size: jax.random.normal(key, (size,))
    generator_name: str = "generator"
    discriminator_name: str = "discriminator"

    @property
    def drawing(self) -> tuple[Any, ...]:
        """The owner of shared images: GANs of one generator share them."""
        return self.generator, self.generator_name, self.latent_size

    def init(self, key: Array, spec: ImageSpec) -> dict[str, Variables]:
        """The variables of both networks for images of a size.

        Raises:
          ValueError: the generator draws images of another size.
        """
        generator, discriminator = jax.random.split(key)
        condition = example_conditioning(self.conditions)
        latent = jnp.zeros((1, self.latent_size))
        image, variables = self.generator.init_with_output(generator, latent, *condition, train=False)
        if image.shape != (1, *spec):
            raise ValueError(f"The generator draws images {list(image.shape[1:])}; expected {list(spec)}.")
        return {
            self.generator_name: variables,
            self.discriminator_name: self.discriminator.init(discriminator, image, *condition, train=False),
        }

    def latents(self, context: Context) -> Array:
        """The latents [B, Z] of the images that `draw` draws."""
        if (drawing := _shared(self, context)) is not None:
            return drawing.latents

        def draw(key: Array, shape: tuple[int, ...]) -> Array:
            return self._draw_latents(jax.random.split(key, shape))

        return draw_batch(draw, context.key, context.batch["image"].shape[:1])

    def _draw_latents(self, keys: Array) -> Array:
        return jax.vmap(lambda key: self.draw_latent(key, self.latent_size))(keys)

    def conditioning(self, context: Context) -> tuple[Array, ...]:
        """The conditioning inputs of both networks at a step."""
        drawing = _shared(self, context)
        if drawing is not None and drawing.conditioning is not None:
            return drawing.conditioning
        return conditioning(self.conditions, context.batch)

    def generate(
        self, variables: Variables, latent: Array, *condition: Array, train: bool, key: Array | None = None
    ) -> tuple[Array, Variables]:
        """Images float32 [B, H, W, C] of latents [B, Z], and the generator's mutated collections."""
        return forward(self.generator, variables, latent, *condition, train=train, key=key)

    def draw(self, networks: Networks, context: Context) -> tuple[Array, Variables]:
        """One image for each element of the batch, in training; also the generator's mutated collections.

        Inside `share_images` all losses of a step get the same images, and inside `share_inputs` restored ones.
        """
        if (drawing := _shared(self, context)) is not None:
            return drawing.images(networks)
        key, variables = stream(context, "dropout").key, networks[self.generator_name]
        return self.generate(variables, self.latents(context), *self.conditioning(context), train=True, key=key)

    def discriminate(
        self, networks: Networks, context: Context, images: Array, condition: tuple[Array, ...], *, train: bool = True
    ) -> tuple[Array, Variables]:
        """The discriminator's outputs for images, after augmentation, and its mutated collections."""
        if self.augment:
            images = self.augment(networks, context.key, images)
        key, variables = stream(context, "dropout").key, networks[self.discriminator_name]
        return forward(self.discriminator, variables, images, *condition, train=train, key=key)

    def logits(self, networks: Networks, context: Context, real: Array, fake: Array) -> tuple[Array, Array, Variables]:
        """Training logits [B] of real and of fake images, and the collections that the two passes mutated, in turn.

        Real and fake images are separate batches, for layers such as BatchNorm and for the caches of a CPU.
        """
        condition = self.conditioning(context)
        real_output, changes = self.discriminate(networks, stream(context, "real"), real, condition)
        name = self.discriminator_name
        networks = {**networks, name: {**networks[name], **changes}}
        fake_output, changes = self.discriminate(networks, stream(context, "fake"), fake, condition)
        return logits(real_output), logits(fake_output), changes

    def sampler(self) -> Sampler:
        """Draws images with the generator."""

        def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
            latents, condition = self._draw_latents(keys), conditioning(self.conditions, fields)
            return self.generate(networks[self.generator_name], latents, *condition, train=False)[0]

        return Sampler(draw, self.conditions)

    def controls(self, networks: Networks) -> Controls:
        """The controls of the generator; codes are latents, [N, 1, Z]."""
        variables = networks[self.generator_name]

        def draw(seed: Array, index: Array) -> Array:
            return self._draw_latents(image_keys(seed, index))

        def generate(codes: Array, latents: Array, fields: Fields) -> Array:  # noqa: ARG001
            return self.generate(variables, codes[:, 0], *conditioning(self.conditions, fields), train=False)[0]

        def first_layer(codes: Array) -> Array:
            condition = example_conditioning(self.conditions, codes.shape[0])
            outputs = dense_outputs(self.generator, variables, codes[:, 0], *condition, train=False)
            return outputs[0].reshape(codes.shape[0], -1)  # of a map, each position has its own

        def discriminate(images: Array, fields: Fields) -> Array:
            inputs = images, *conditioning(self.conditions, fields)
            return logits(forward(self.discriminator, networks[self.discriminator_name], *inputs, train=False)[0])

        return Controls(draw, lambda latents, _: latents[:, None], generate, first_layer, discriminate)


def logits(output: Array) -> Array:
    """The logits [B] in a discriminator's outputs [B] or [B, 1 + A]."""
    return output if output.ndim == 1 else output[:, 0]


def discriminator_loss(gan: GAN, objective: DiscriminatorObjective) -> Loss:
    """The discriminator's side of the game, averaged over the batch."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        fake, _ = gan.draw(networks, context)
        real_logits, fake_logits, changes = gan.logits(networks, context, to_float(context.batch["image"]), fake)
        metrics = {"real_logit": mean(real_logits), "fake_logit": mean(fake_logits)}
        return objective(real_logits, fake_logits).mean(), Aux(metrics, {gan.discriminator_name: changes})

    return loss


def generator_loss(gan: GAN, objective: GeneratorObjective) -> Loss:
    """The generator's side of the game, averaged over the batch."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        fake, generator = gan.draw(networks, context)
        output, discriminator = gan.discriminate(networks, stream(context, "fake"), fake, gan.conditioning(context))
        changes = {gan.generator_name: generator, gan.discriminator_name: discriminator}
        return objective(logits(output)).mean(), Aux(changes=changes)

    return loss


def relativistic_generator_loss(gan: GAN, objective: DiscriminatorObjective) -> Loss:
    """The generator's side of a relativistic game: the discriminator's objective with real and fake swapped."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        fake, generator = gan.draw(networks, context)
        real_logits, fake_logits, changes = gan.logits(networks, context, to_float(context.batch["image"]), fake)
        value = objective(fake_logits, real_logits).mean()
        return value, Aux(changes={gan.generator_name: generator, gan.discriminator_name: changes})

    return loss


def adversarial_game(gan: GAN, discriminator: DiscriminatorObjective, generator: GeneratorObjective) -> Game:
    """Both sides of the game from one forward pass of each network."""

    def game(networks: Networks, context: Context) -> tuple[dict[str, Array], Aux]:
        fake, generator_changes = gan.draw(networks, context)
        real_logits, fake_logits, changes = gan.logits(networks, context, to_float(context.batch["image"]), fake)
        metrics = {"real_logit": mean(real_logits), "fake_logit": mean(fake_logits)}
        losses = {
            gan.discriminator_name: discriminator(real_logits, fake_logits).mean(),
            gan.generator_name: generator(fake_logits).mean(),
        }
        return losses, Aux(metrics, {gan.generator_name: generator_changes, gan.discriminator_name: changes})

    return game


def _shared(gan: GAN, context: Context) -> SharedDrawing | None:
    return shared(context, gan.drawing)
