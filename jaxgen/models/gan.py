"""Generative adversarial networks.  Goodfellow et al. (2014), https://arxiv.org/abs/1406.2661.

The networks are called "generator" and "discriminator".  Latents are standard normal.  In turn,

    chain(discriminator=minimize(discriminator_loss(...), ...), generator=minimize(generator_loss(...), ...))

or at once, from one forward pass of the generator: `simultaneous(adversarial_game(...), ...)`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.image import to_float
from jaxgen.losses import zero_centred_penalty
from jaxgen.metrics import mean
from jaxgen.nets import Module, forward
from jaxgen.types import Array, Aux, Context, Game, Loss, Networks, Sampler, Variables

DiscriminatorObjective = Callable[[Array, Array], Array]
"""Logits [B] of real and of fake images to a cost [B]."""

GeneratorObjective = Callable[[Array], Array]
"""Logits [B] of fake images to a cost [B]."""


class GAN(NamedTuple):
    """A generator of latents [B, Z] to images, and a discriminator of images to logits [B].

    `mix_batches` judges real and generated images in one batch, which is faster.  It changes nothing unless a layer of
    the discriminator looks at other examples, as BatchNorm does: then each kind has to be a batch of its own.
    """

    generator: Module
    discriminator: Module
    latent_size: int
    mix_batches: bool = False

    def init(self, key: Array) -> dict[str, Variables]:
        """Both networks' variables."""
        generator, discriminator = jax.random.split(key)
        image, variables = self.generator.init_with_output(generator, jnp.zeros((1, self.latent_size)), train=False)
        return {
            "generator": variables,
            "discriminator": self.discriminator.init(discriminator, image, train=False),
        }

    def latents(self, key: Array, num: int) -> Array:
        """Standard normal latents [num, Z]."""
        return jax.random.normal(key, (num, self.latent_size))

    def generate(self, variables: Variables, latent: Array, *, train: bool) -> tuple[Array, Variables]:
        """Images float32 [B, H, W, C] of latents [B, Z], and the generator's changed collections."""
        return forward(self.generator, variables, latent, train=train)

    def judge(self, variables: Variables, real: Array, fake: Array) -> tuple[Array, Array, Variables]:
        """Training logits [B] of real and of fake images, and the discriminator's changed collections."""
        if self.mix_batches:
            logits, changes = forward(self.discriminator, variables, jnp.concatenate([real, fake]), train=True)
            return logits[: len(real)], logits[len(real) :], changes
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
        latent = gan.latents(context.key, len(real))
        fake, _ = gan.generate(networks["generator"], latent, train=True)
        real_logits, fake_logits, changes = gan.judge(networks["discriminator"], real, fake)
        metrics = {"real_logit": mean(real_logits), "fake_logit": mean(fake_logits)}
        return objective(real_logits, fake_logits).mean(), Aux(metrics, {"discriminator": changes})

    return loss


def generator_loss(gan: GAN, objective: GeneratorObjective) -> Loss:
    """The generator's side of the game, averaged over the batch."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        latent = gan.latents(context.key, len(context.batch["image"]))
        fake, generator = gan.generate(networks["generator"], latent, train=True)
        fake_logits, discriminator = forward(gan.discriminator, networks["discriminator"], fake, train=True)
        return objective(fake_logits).mean(), Aux(changes={"generator": generator, "discriminator": discriminator})

    return loss


def adversarial_game(gan: GAN, discriminator: DiscriminatorObjective, generator: GeneratorObjective) -> Game:
    """Both sides of the game from one forward pass of each network."""

    def game(networks: Networks, context: Context) -> tuple[dict[str, Array], Aux]:
        real = to_float(context.batch["image"])
        latent = gan.latents(context.key, len(real))
        fake, generator_changes = gan.generate(networks["generator"], latent, train=True)
        real_logits, fake_logits, changes = gan.judge(networks["discriminator"], real, fake)
        metrics = {"real_logit": mean(real_logits), "fake_logit": mean(fake_logits)}
        losses = {
            "discriminator": discriminator(real_logits, fake_logits).mean(),
            "generator": generator(fake_logits).mean(),
        }
        return losses, Aux(metrics, {"generator": generator_changes, "discriminator": changes})

    return game


def r1_loss(gan: GAN, *, gamma: float, share: float = 1.0) -> Loss:
    """`gamma` times the R1 penalty, averaged over the first `share` of the real images."""

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        real = to_float(context.batch["image"])
        return _penalty(gan, networks, _first(real, share), gamma)

    return loss


def r2_loss(gan: GAN, *, gamma: float, share: float = 1.0) -> Loss:
    """`gamma` times the R2 penalty, averaged over `share` as many generated images as the batch has.

    They are a batch of their own: with few of them the generator's BatchNorm sees few.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        num = len(_first(context.batch["image"], share))
        fake, _ = gan.generate(networks["generator"], gan.latents(context.key, num), train=True)
        return _penalty(gan, networks, fake, gamma)

    return loss


def _first(images: Array, share: float) -> Array:
    return images[: max(1, round(share * len(images)))]


def _penalty(gan: GAN, networks: Networks, images: Array, gamma: float) -> tuple[Array, Aux]:
    def judge(images: Array) -> Array:
        return forward(gan.discriminator, networks["discriminator"], images, train=False)[0]

    penalty = zero_centred_penalty(judge, images)
    return gamma * penalty.mean(), Aux({"penalty": mean(penalty)})
