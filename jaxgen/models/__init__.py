"""Models: networks and losses bound into `Loss` functions and samplers."""

from jaxgen.models.augmentation import (
    adapt_probability,
    adaptive_augment,
    augmentation_probability,
    differentiable_augment,
)
from jaxgen.models.auxiliary import code_latents, generated_class_loss, information_loss, real_class_loss
from jaxgen.models.averaged import averaged, warming_up
from jaxgen.models.cnn import (
    ImageToImage,
    likelihood_loss,
    restoration_loss,
    share_inputs,
    translation_game,
    translation_networks,
)
from jaxgen.models.code_prior import CodePrior, code_prior_loss, vqvae_sampler
from jaxgen.models.doubly_reparameterized import doubly_reparameterized_loss
from jaxgen.models.exploration import (
    along,
    closed_form_directions,
    interpolate,
    inversion_loss,
    latent_network,
    principal_directions,
    saliency,
)
from jaxgen.models.gan import (
    GAN,
    adversarial_game,
    discriminator_loss,
    generator_loss,
    relativistic_generator_loss,
)
from jaxgen.models.guidance import guided, sometimes_untold
from jaxgen.models.importance_weighted import importance_weighted_loss
from jaxgen.models.ladder import LadderVAE
from jaxgen.models.latent_space import interpolations, latent_map, reconstructions
from jaxgen.models.matching import mismatched_loss
from jaxgen.models.pixelcnn import PixelCNN, completions, pixelcnn_loss
from jaxgen.models.prior import Prior, standard_normal, vamp_prior
from jaxgen.models.reading_order import draw_incrementally, draw_naively
from jaxgen.models.regularizers import (
    clip_weights,
    consistency_loss,
    dragan_loss,
    gradient_penalty_loss,
    lecam_averages,
    lecam_loss,
    r1_loss,
    r2_loss,
)
from jaxgen.models.shared_images import share_images
from jaxgen.models.steering import find_directions, mix_styles, style_mixtures, truncations, walks, ways
from jaxgen.models.style import style_controls
from jaxgen.models.style_transfer import (
    StyleTransfer,
    adaptive_instance_norm,
    identity_loss,
    image_network,
    optimized_transfer_loss,
    strengths,
    style_transfer_loss,
    swapped,
)
from jaxgen.models.tasks import (
    Task,
    colourise,
    denoise,
    fixed_mask,
    inpaint,
    masked,
    random_block,
    random_half,
    super_resolve,
)
from jaxgen.models.total_correlation import total_correlation_loss
from jaxgen.models.transforms import change_colour, cut_out, mirror, translate
from jaxgen.models.vae import VAE, Inference, elbo_loss, importance_weights
from jaxgen.models.vqvae import VQVAE, vector_quantized_loss

__all__ = [
    "GAN",
    "VAE",
    "VQVAE",
    "CodePrior",
    "ImageToImage",
    "Inference",
    "LadderVAE",
    "PixelCNN",
    "Prior",
    "StyleTransfer",
    "Task",
    "adapt_probability",
    "adaptive_augment",
    "adaptive_instance_norm",
    "adversarial_game",
    "along",
    "augmentation_probability",
    "averaged",
    "change_colour",
    "clip_weights",
    "closed_form_directions",
    "code_latents",
    "code_prior_loss",
    "colourise",
    "completions",
    "consistency_loss",
    "cut_out",
    "denoise",
    "differentiable_augment",
    "discriminator_loss",
    "doubly_reparameterized_loss",
    "dragan_loss",
    "draw_incrementally",
    "draw_naively",
    "elbo_loss",
    "find_directions",
    "fixed_mask",
    "generated_class_loss",
    "generator_loss",
    "gradient_penalty_loss",
    "guided",
    "identity_loss",
    "image_network",
    "importance_weighted_loss",
    "importance_weights",
    "information_loss",
    "inpaint",
    "interpolate",
    "interpolations",
    "inversion_loss",
    "latent_map",
    "latent_network",
    "lecam_averages",
    "lecam_loss",
    "likelihood_loss",
    "masked",
    "mirror",
    "mismatched_loss",
    "mix_styles",
    "optimized_transfer_loss",
    "pixelcnn_loss",
    "principal_directions",
    "r1_loss",
    "r2_loss",
    "random_block",
    "random_half",
    "real_class_loss",
    "reconstructions",
    "relativistic_generator_loss",
    "restoration_loss",
    "saliency",
    "share_images",
    "share_inputs",
    "sometimes_untold",
    "standard_normal",
    "strengths",
    "style_controls",
    "style_mixtures",
    "style_transfer_loss",
    "super_resolve",
    "swapped",
    "total_correlation_loss",
    "translate",
    "translation_game",
    "translation_networks",
    "truncations",
    "vamp_prior",
    "vector_quantized_loss",
    "vqvae_sampler",
    "walks",
    "warming_up",
    "ways",
]
