"""Models: networks and losses bound into `Loss` functions and samplers."""

from jaxgen.models.averaged import averaged, warming_up
from jaxgen.models.doubly_reparameterized import doubly_reparameterized_loss
from jaxgen.models.gan import GAN, adversarial_game, discriminator_loss, generator_loss, r1_loss, r2_loss, share_images
from jaxgen.models.ladder import LadderVAE
from jaxgen.models.latent_space import interpolations, latent_map, reconstructions
from jaxgen.models.prior import Prior, standard_normal, vamp_prior
from jaxgen.models.total_correlation import total_correlation_loss
from jaxgen.models.vae import VAE, Inference, elbo_loss, importance_weighted_loss, importance_weights
from jaxgen.models.vqvae import VQVAE, vector_quantized_loss

__all__ = [
    "GAN",
    "VAE",
    "VQVAE",
    "Inference",
    "LadderVAE",
    "Prior",
    "adversarial_game",
    "averaged",
    "discriminator_loss",
    "doubly_reparameterized_loss",
    "elbo_loss",
    "generator_loss",
    "importance_weighted_loss",
    "importance_weights",
    "interpolations",
    "latent_map",
    "r1_loss",
    "r2_loss",
    "reconstructions",
    "share_images",
    "standard_normal",
    "total_correlation_loss",
    "vamp_prior",
    "vector_quantized_loss",
    "warming_up",
]
