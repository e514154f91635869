"""Generative adversarial networks.  Goodfellow et al. (2014), https://arxiv.org/abs/1406.2661.

The networks are called "generator" and "discriminator".  Latents are standard normal.  In turn,

    chain(discriminator=minimize(discriminator_loss(...), ...), generator=minimize(generator_loss(...), ...))

or at once: `simultaneous(adversarial_game(...), ...)`.  Both need one forward pass of the generator, the first if its
links look at the same images: `share_images(gan, chain(...))`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.axis import devices, own_share
from jaxgen.image import to_float
from jaxgen.losses import zero_centred_penalty
from jaxgen.metrics import mean
from jaxgen.nets import Module, forward
from jaxgen.objective import stream, with_changes
from jaxgen.types import Array, Aux, Context, Game, Loss, Networks, OptState, PyTree, Sampler, Update, Variables

DiscriminatorObjective = Callable[[Array, Array], Array]
"""Logits [B] of real and of fake images to a cost [B]."""

GeneratorObjective = Callable[[Array], Array]
"""Logits [B] of fake images to a cost [B]."""


class GAN(NamedTuple):
    """A generator of latents [B, Z] to images, and a discriminator of images to logits [B]."""

    generator: Module
    discriminator: Module
    latent_size: int

    def init(self, key: Array) -> dict[str, Variables]:
        """Both networks' variables."""
        generator, discriminator = jax.random.split(key)
        image, variables = self.generator.init_with_output(generator, jnp.zeros((1, self.latent_size)), train=False)
        return {
            "generator": variables,
            "discriminator": self.discriminator.init(discriminator, image, train=False),
        }

    def generate(self, variables: Variables, latent: Array, *, train: bool) -> tuple[Array, Variables]:
        """Images float32 [B, H, W, C] of latents [B, Z], and the generator's changed collections."""
        return forward(self.generator, variables, latent, train=train)

    def draw(self, networks: Networks, context: Context) -> tuple[Array, Variables]:
        """As many training images as the batch has, and the generator's changed collections.

        The latents are the batch's `latent` if it has them; inside `share_images` all losses get the same images.
        """
        if "drawn" in context.batch:
            drawn: Drawn = context.batch["drawn"]
            return _again(networks["generator"]["params"], drawn.images, drawn.pull_back), drawn.changes
        latent = context.batch.get("latent")
        if latent is None:
            size = devices() * len(context.batch["image"])
            latent = own_share(jax.random.normal(context.key, (size, self.latent_size)))
        return self.generate(networks["generator"], latent, train=True)

    def judge(self, variables: Variables, real: Array, fake: Array) -> tuple[Array, Array, Variables]:
        """Training logits [B] of real and of fake images, and what both, in this order, changed in the discriminator.

        Each kind is a batch of its own, to a layer such as BatchNorm and to the caches of a CPU.
        """
        real_logits, changes = forward(self.discriminator, variables, real, train=True)
        fake_logits, changes = forward(self.discriminator, {**variables, **changes}, fake, train=True)
        return real_logits, fake_logits, changes

    def sampler(self, network: str) -> Sampler:
        """The function from networks and typed keys [B] to images, drawn by the generator called `network`."""

        def sample(networks: Networks, keys: Array) -> Array:
            latent = jax.vmap(lambda key: jax.random.normal(key, (self.latent_size,)))(keys)
            return self.generate(networks[network], latent, train=False)[0]

        return sample


def discriminator_loss(gan: GAN, objective: DiscriminatorObjective) -> Loss:
    """The discriminator's side of the game, averaged over the batch."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        real = to_float(context.batch["image"])
        fake, _ = gan.draw(networks, context)
        real_logits, fake_logits, changes = gan.judge(networks["discriminator"], real, fake)
        metrics = {"real_logit": mean(real_logits), "fake_logit": mean(fake_logits)}
        return objective(real_logits, fake_logits).mean(), Aux(metrics, {"discriminator": changes})

    return loss


def generator_loss(gan: GAN, objective: GeneratorObjective) -> Loss:
    """The generator's side of the game, averaged over the batch."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        fake, generator = gan.draw(networks, context)
        fake_logits, discriminator = forward(gan.discriminator, networks["discriminator"], fake, train=True)
        return objective(fake_logits).mean(), Aux(changes={"generator": generator, "discriminator": discriminator})

    return loss


def adversarial_game(gan: GAN, discriminator: DiscriminatorObjective, generator: GeneratorObjective) -> Game:
    """Both sides of the game from one forward pass of each network."""

    def game(networks: Networks, context: Context) -> tuple[dict[str, Array], Aux]:
        real = to_float(context.batch["image"])
        fake, generator_changes = gan.draw(networks, context)
        real_logits, fake_logits, changes = gan.judge(networks["discriminator"], real, fake)
        metrics = {"real_logit": mean(real_logits), "fake_logit": mean(fake_logits)}
        losses = {
            "discriminator": discriminator(real_logits, fake_logits).mean(),
            "generator": generator(fake_logits).mean(),
        }
        return losses, Aux(metrics, {"generator": generator_changes, "discriminator": changes})

    return game


class Drawn(NamedTuple):
    """Images of one forward pass of the generator, the collections that it changed, and the way back."""

    images: Array
    changes: Variables
    pull_back: Callable[[Array], tuple[PyTree]]


def share_images(gan: GAN, update: Update) -> Update:
    """The update with images drawn once, by the generator as it was before the step, for all losses.

    With the generator trained last it is the usual alternating algorithm, less a forward pass.  Losses get first
    derivatives with respect to the generator's parameters, at the parameters that drew the images.
    """

    def shared(networks: Networks, opt_state: OptState, context: Context):
        def draw(params: PyTree) -> tuple[Array, Variables]:
            return gan.draw(with_changes(networks, {"generator": {"params": params}}), stream(context, "images"))

        images, pull_back, changes = jax.vjp(draw, networks["generator"]["params"], has_aux=True)
        batch = {**context.batch, "drawn": Drawn(images, changes, pull_back)}
        return update.update(networks, opt_state, context._replace(batch=batch))

    return update._replace(update=shared)


@jax.custom_vjp
def _again(params: PyTree, images: Array, pull_back: Callable) -> Array:  # noqa: ARG001
    """Images that were drawn with these parameters, as a function of them."""
    return images


_again.defvjp(
    lambda params, images, pull_back: (images, pull_back),  # noqa: ARG005
    lambda pull_back, cotangent: (*pull_back(cotangent), None, None),
)


def r1_loss(gan: GAN, *, gamma: float, one_in: int = 1) -> Loss:
    """`gamma` times the R1 penalty, averaged over one in so many real images (of each device's, in a pmap)."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        real = to_float(context.batch["image"])
        return _penalty(gan, networks, real[::one_in], gamma)

    return loss


def r2_loss(gan: GAN, *, gamma: float, one_in: int = 1) -> Loss:
    """`gamma` times the R2 penalty, averaged over one in so many generated images."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        fake, _ = gan.draw(networks, context)
        return _penalty(gan, networks, fake[::one_in], gamma)

    return loss


def _penalty(gan: GAN, networks: Networks, images: Array, gamma: float) -> tuple[Array, Aux]:
    def judge(images: Array) -> Array:
        return forward(gan.discriminator, networks["discriminator"], images, train=False)[0]

    penalty = zero_centred_penalty(judge, images)
    return gamma * penalty.mean(), Aux({"penalty": mean(penalty)})
