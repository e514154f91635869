"""Models: networks and losses bound into `Loss` functions and samplers."""

from jaxgen.models.gan import GAN, adversarial_game, discriminator_loss, generator_loss, r1_loss, r2_loss, share_images

__all__ = ["GAN", "adversarial_game", "discriminator_loss", "generator_loss", "r1_loss", "r2_loss", "share_images"]
