"""Models: networks and losses bound into loss functions and samplers, a folder per family.

author's kit     forward, draw_batch, logits, stream, share, shared, conditioning, image_keys
conditions       labels, features, images, text; drop_condition, guided
gan              GAN, discriminator_loss, generator_loss, regularisers, augmentation, share_images
vae              VAE, LadderVAE, elbo_loss, importance_weighted_loss, posteriors, priors
autoregressive   PixelCNN, VQVAE, CodePrior
diffusion        Diffusion, denoising_loss; schedules, predictions, solvers, guidance in `jaxgen.models.diffusion`
image_to_image   ImageToImage, tasks, translation_game
style_transfer   StyleTransfer
latents          Controls, directions, traversals, children (of latents that somebody liked)
search           best_of, evolve, ascend, by a reward; carry_out
averages         ema_warmup, power_decay, use_ema; of any length after training: post_hoc_weights, post_hoc_average
augmentation     augment, crop, jitter_colour, mirror, shift, turn
"""

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import Condition, Conditions, Fields, conditioning, features, images, labels, text
from jaxgen.core.controls import Controls, Restorer, Stylizer
from jaxgen.core.objective import share, shared, stream
from jaxgen.core.sampler import image_keys
from jaxgen.models.augment import augment, crop, jitter_colour, shift, turn
from jaxgen.models.autoregressive.code_prior import CodePrior, code_prior_loss, vqvae_sampler
from jaxgen.models.autoregressive.guidance import guided
from jaxgen.models.autoregressive.incremental import Canvas, Draw, draw_incrementally, draw_naively
from jaxgen.models.autoregressive.pixelcnn import Complete, PixelCNN, completions, pixelcnn_loss
from jaxgen.models.autoregressive.vqvae import VQVAE, vector_quantized_loss
from jaxgen.models.diffusion.loss import denoising_loss
from jaxgen.models.diffusion.model import Diffusion
from jaxgen.models.drop_condition import drop_condition
from jaxgen.models.ema import ema_networks, ema_warmup, power_decay, use_ema
from jaxgen.models.gan.augmentation import (
    adapt_probability,
    adaptive_augment,
    augmentation_probability,
    differentiable_augment,
)
from jaxgen.models.gan.auxiliary import code_latents, generated_class_loss, information_loss, real_class_loss
from jaxgen.models.gan.mismatch import mismatched_loss
from jaxgen.models.gan.model import (
    GAN,
    Augment,
    DiscriminatorObjective,
    DrawLatent,
    GeneratorObjective,
    SharedDrawing,
    adversarial_game,
    discriminator_loss,
    generator_loss,
    logits,
    relativistic_generator_loss,
)
from jaxgen.models.gan.regularizers import (
    Points,
    clip_weights,
    consistency_loss,
    dragan_loss,
    gradient_penalty_loss,
    lecam_averages,
    lecam_loss,
    r1_loss,
    r2_loss,
)
from jaxgen.models.gan.shared_images import share_images
from jaxgen.models.gan.style_controls import style_controls
from jaxgen.models.gan.transforms import Transform, change_colour, cut_out, mirror, translate
from jaxgen.models.image_to_image.model import (
    ImageToImage,
    Restoration,
    likelihood_loss,
    restoration_loss,
    share_inputs,
    translation_game,
    translation_networks,
)
from jaxgen.models.image_to_image.tasks import (
    Mask,
    Task,
    colourise,
    deblur,
    denoise,
    fixed_mask,
    inpaint,
    masked,
    random_block,
    random_half,
    super_resolve,
)
from jaxgen.models.latents.directions import (
    Generate,
    along,
    closed_form_directions,
    interpolate,
    inversion_loss,
    latent_network,
    principal_directions,
    saliency,
)
from jaxgen.models.latents.inversion import find_codes
from jaxgen.models.latents.search import ascend, best_of, carry_out, evolve
from jaxgen.models.latents.selection import children
from jaxgen.models.latents.traversals import (
    find_directions,
    interpolations,
    mix_styles,
    style_mixtures,
    traversals,
    truncations,
)
from jaxgen.models.post_hoc import EMAProfile, PostHocWeights, post_hoc_average, post_hoc_weights
from jaxgen.models.style_transfer.model import (
    FeatureMaps,
    StyleTransfer,
    adaptive_instance_norm,
    identity_loss,
    image_network,
    optimized_transfer_loss,
    strengths,
    style_transfer_loss,
    swapped,
)
from jaxgen.models.vae.doubly_reparameterized import doubly_reparameterized_loss
from jaxgen.models.vae.importance_weighted import importance_weighted_loss
from jaxgen.models.vae.ladder import LadderVAE
from jaxgen.models.vae.latent_space import Reconstructs, image_interpolations, latent_map, reconstructions
from jaxgen.models.vae.model import VAE, Encoded, Inference, LatentModel, elbo_loss, importance_weights
from jaxgen.models.vae.posterior import Params, Posterior, diagonal_gaussian
from jaxgen.models.vae.prior import Prior, Recognition, standard_normal, vamp_prior
from jaxgen.models.vae.total_correlation import total_correlation_loss
from jaxgen.nets import forward

__all__ = [
    "GAN",
    "VAE",
    "VQVAE",
    "Augment",
    "Canvas",
    "CodePrior",
    "Complete",
    "Condition",
    "Conditions",
    "Controls",
    "Diffusion",
    "DiscriminatorObjective",
    "Draw",
    "DrawLatent",
    "EMAProfile",
    "Encoded",
    "FeatureMaps",
    "Fields",
    "Generate",
    "GeneratorObjective",
    "ImageToImage",
    "Inference",
    "LadderVAE",
    "LatentModel",
    "Mask",
    "Params",
    "PixelCNN",
    "Points",
    "PostHocWeights",
    "Posterior",
    "Prior",
    "Recognition",
    "Reconstructs",
    "Restoration",
    "Restorer",
    "SharedDrawing",
    "StyleTransfer",
    "Stylizer",
    "Task",
    "Transform",
    "adapt_probability",
    "adaptive_augment",
    "adaptive_instance_norm",
    "adversarial_game",
    "along",
    "ascend",
    "augment",
    "augmentation_probability",
    "best_of",
    "carry_out",
    "change_colour",
    "children",
    "clip_weights",
    "closed_form_directions",
    "code_latents",
    "code_prior_loss",
    "colourise",
    "completions",
    "conditioning",
    "consistency_loss",
    "crop",
    "cut_out",
    "deblur",
    "denoise",
    "denoising_loss",
    "diagonal_gaussian",
    "differentiable_augment",
    "discriminator_loss",
    "doubly_reparameterized_loss",
    "dragan_loss",
    "draw_batch",
    "draw_incrementally",
    "draw_naively",
    "drop_condition",
    "elbo_loss",
    "ema_networks",
    "ema_warmup",
    "evolve",
    "features",
    "find_codes",
    "find_directions",
    "fixed_mask",
    "forward",
    "generated_class_loss",
    "generator_loss",
    "gradient_penalty_loss",
    "guided",
    "identity_loss",
    "image_interpolations",
    "image_keys",
    "image_network",
    "images",
    "importance_weighted_loss",
    "importance_weights",
    "information_loss",
    "inpaint",
    "interpolate",
    "interpolations",
    "inversion_loss",
    "jitter_colour",
    "labels",
    "latent_map",
    "latent_network",
    "lecam_averages",
    "lecam_loss",
    "likelihood_loss",
    "logits",
    "masked",
    "mirror",
    "mismatched_loss",
    "mix_styles",
    "optimized_transfer_loss",
    "pixelcnn_loss",
    "post_hoc_average",
    "post_hoc_weights",
    "power_decay",
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
    "share",
    "share_images",
    "share_inputs",
    "shared",
    "shift",
    "standard_normal",
    "stream",
    "strengths",
    "style_controls",
    "style_mixtures",
    "style_transfer_loss",
    "super_resolve",
    "swapped",
    "text",
    "total_correlation_loss",
    "translate",
    "translation_game",
    "translation_networks",
    "traversals",
    "truncations",
    "turn",
    "use_ema",
    "vamp_prior",
    "vector_quantized_loss",
    "vqvae_sampler",
]
