"""A model of any pictures.  python experiments/pictures.py --data <folder> --size 64

    gan     sharp images; adaptive augmentation: Karras et al. (2020), https://arxiv.org/abs/2006.06676
    vae     blurred images, but it encodes images as well: residual networks, a discretised mixture of logistics
    flow    flow matching with a transformer: trained by regression, without a discriminator.  From sides of 48 on it is
            one of latent maps: Rombach et al. (2022), https://arxiv.org/abs/2112.10752.  A flow of smaller images is
            one of pixels, and also restores images

The depth of the networks, the patches and the weight of the penalties follow from the size.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import jax
import optax
import tyro
from jax.nn.initializers import he_normal

from jaxgen import ImageSpec, InputError, add, chain, ema, lazily, minimize, models, nets
from jaxgen.data import tokenized
from jaxgen.export import export_controls, export_denoiser
from jaxgen.io.terminal import say
from jaxgen.losses import discretized_logistic_mixture, logistic_discriminator, non_saturating_generator
from jaxgen.models import diffusion
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, command, run

WORDS, VOCABULARY = 64, 4_096  # the most words of a caption, and of all captions
GUIDANCE = 1.5  # of a flow with classes or captions


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw pictures like those of a folder."""

    data: str = "pictures"
    """A folder of images, an archive of one, or an .npz."""
    family: Literal["gan", "vae", "flow"] = "gan"
    """gan draws in one pass of its network, vae also encodes images, flow draws in many passes: from 48x48
    on the latent maps of a VAE, below that pixels, and then it also restores."""
    preset: Literal["small", "base", "large"] = "base"
    """Width of the networks; twice the width takes up to four times as long per step."""
    max_minutes: Positive = 60.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    classes: Literal["auto"] | Annotated[int, Bounds(least=0)] = 0
    """Classes that the networks are conditioned on; auto for those of the data, such as its subfolders; 0 for none."""
    text: bool = False
    """Condition the networks on the captions; the images must then fit into memory."""
    width: Count | None = None
    """Channels next to the image: 32 for a gan, 16 for a vae, half of that above 128x128.  Features of a flow's token:
    256, a quarter of it in its VAE.  The preset small halves them, large doubles them."""
    latent_size: Count = 64
    """Latent dimension of gan and vae; that of a flow is the size of its images or maps."""
    autoencoder_steps: Count = 2_000
    """Steps of the VAE of a flow of latent maps; the flow trains in those after them."""
    learning_rate: Positive | None = None
    """Adam's, by default 1e-3 for gan and flow, 3e-4 for vae; it decays as lr / (1 + step / 16,000)."""


def width_of(config: Config, spec: ImageSpec) -> int:
    """Channels next to the image, or features of a token."""
    if config.width and config.preset != Config.preset:
        raise InputError(f"--preset {config.preset} and --width {config.width}: give one of them.")
    narrower = 2 if config.family != "flow" and math.prod(spec[:2]) > 128 * 128 else 1
    base = {"gan": 32, "vae": 16, "flow": 256}[config.family] // narrower
    return config.width or {"small": base // 2, "base": base, "large": 2 * base}[config.preset]


def has_maps(config: Config, spec: ImageSpec) -> bool:
    """Whether the model is a flow of latent maps: from sides of 48 on these have fewer patches than images."""
    return config.family == "flow" and min(spec[:2]) >= 48


def conditions_of(config: Config) -> models.Conditions:
    """What the networks are conditioned on."""
    classes = config.classes if isinstance(config.classes, int) else 0  # a run has put the number of its data there
    return (models.text(WORDS) if config.text else {}) | (models.labels(classes) if classes else {})


def conditioned(config: Config, network: nets.Module) -> nets.Module:
    """The network, which reads captions if there are any."""
    return nets.WithText(network, nets.TextEncoder(VOCABULARY, dtype=config.dtype)) if config.text else network


def build_gan(config: Config, spec: ImageSpec, adam: optax.GradientTransformation) -> Recipe:
    """The GAN."""
    width, gamma = width_of(config, spec), math.prod(spec[:2]) / 64**2
    options: Any = {"hidden": 8 * width, "most": 8 * width, "kernel_init": he_normal(), "dtype": config.dtype}
    gan = models.GAN(
        generator=conditioned(config, nets.DCGANGenerator(spec, width, **options)),
        discriminator=conditioned(config, nets.DCGANDiscriminator(width, normalize=False, **options)),
        latent_size=config.latent_size,
        conditions=conditions_of(config),
        augment=models.adaptive_augment(models.mirror, models.translate, models.cut_out, models.change_colour),
    )
    captions = {"mismatched": models.mismatched_loss(gan, logistic_discriminator)} if config.text else {}
    discriminator = add(
        adversarial=models.discriminator_loss(gan, logistic_discriminator),
        **captions,
        r1=lazily(4, models.r1_loss(gan, gamma=gamma, one_in=4)),
        r2=lazily(4, models.r2_loss(gan, gamma=gamma, one_in=4)),
        adapt=lazily(4, models.adapt_probability(gan, images=100_000, every=4)),
    )
    update = chain(
        discriminator=minimize(discriminator, adam, wrt="discriminator"),
        generator=minimize(models.generator_loss(gan, non_saturating_generator), adam, wrt="generator"),
        average=ema("generator", into="generator_ema", decay=models.ema_warmup(0.9995)),
    )
    return Recipe(
        networks=lambda key: gan.init(key, spec) | {"augmentation": models.augmentation_probability()},
        update=models.share_images(gan, update),
        sampler=models.use_ema(gan.sampler()),
        discriminators=("discriminator/adversarial",),
        exports={"controls": export_controls(models.use_ema(gan.controls))},
    )


def build_vae(config: Config, spec: ImageSpec, adam: optax.GradientTransformation) -> Recipe:
    """The VAE."""
    likelihood, sizes = discretized_logistic_mixture(5), (width_of(config, spec), 1, 256, nets.halvings(spec))
    output = spec._replace(channels=likelihood.num_params(spec.channels))
    vae = models.VAE(
        encoder=conditioned(config, nets.ResidualEncoder(config.latent_size, *sizes, dtype=config.dtype)),
        decoder=conditioned(config, nets.ResidualDecoder(output, *sizes, dtype=config.dtype)),
        likelihood=likelihood,
        latent_size=config.latent_size,
        conditions=conditions_of(config),
    )
    reconstruct, clip = partial(models.reconstructions, vae), optax.clip_by_global_norm(500.0)
    return Recipe(
        networks=partial(vae.init, spec=spec),
        update=chain(
            # The first gradients, of thousands of nats, would diverge.
            vae=minimize(models.elbo_loss(vae), optax.chain(clip, adam), wrt=("encoder", "decoder")),
            encoder_average=ema("encoder", into="encoder_ema", decay=models.ema_warmup(0.999)),
            decoder_average=ema("decoder", into="decoder_ema", decay=models.ema_warmup(0.999)),
        ),
        sampler=models.use_ema(vae.sampler()),
        pictures=models.use_ema(lambda networks, batch: {"reconstructions": reconstruct(networks, batch)}),
        exports={"controls": export_controls(models.use_ema(vae.controls))},
    )


def build_flow(config: Config, spec: ImageSpec, adam: optax.GradientTransformation) -> Recipe:
    """The flow of images, in patches of an eighth of the shorter side, or of a VAE's maps of larger ones."""
    if config.latent_size != Config.latent_size:
        raise InputError(f"--latent-size {config.latent_size}: the latents of a flow have the size of its images.")
    conditions, flow_spec, patch, prediction = conditions_of(config), spec, max(1, min(spec[:2]) // 8), diffusion.clean
    vae, autoencoder = diffusion.map_vae(spec, width=max(4, width_of(config, spec) // 4), dtype=config.dtype)
    if has_maps(config, spec):
        flow_spec, patch, prediction = autoencoder.maps, 4, diffusion.velocity
    scale = GUIDANCE if conditions else 1.0
    flow = models.Diffusion(
        conditioned(config, nets.DiT(patch, width_of(config, spec), blocks=6, dtype=config.dtype)),
        flow_spec,
        schedule=diffusion.linear(diffusion.logit_normal_times()),
        prediction=prediction,
        conditions=conditions,
        guidance=diffusion.classifier_free(scale) if conditions else diffusion.unguided,
    )
    loss = models.denoising_loss(flow, diffusion.flow_matching_weight())
    loss = diffusion.on_latents(loss, autoencoder) if has_maps(config, spec) else loss
    loss = models.drop_condition(loss, conditions) if conditions else loss
    average = ema("denoiser", into="denoiser_ema", decay=models.ema_warmup(0.9995))
    update = chain(denoiser=minimize(loss, adam, wrt="denoiser"), average=average)
    if has_maps(config, spec):
        controls = diffusion.decoded_controls(flow.controls, autoencoder)
        return Recipe(
            networks=lambda key: vae.init(key, spec) | flow.init(jax.random.fold_in(key, 1), flow.spec),
            update=diffusion.autoencoder_first(config.autoencoder_steps, vae, autoencoder, update),
            sampler=models.use_ema(diffusion.decoded(flow.sampler(), autoencoder)),
            pictures=lambda networks, batch: {"reconstructions": models.reconstructions(vae, networks, batch)},
            exports={"controls": export_controls(models.use_ema(controls))},
        )
    return Recipe(
        networks=partial(flow.init, spec=spec),
        update=update,
        sampler=models.use_ema(flow.sampler()),
        exports={
            "controls": export_controls(models.use_ema(flow.controls)),
            "denoiser": export_denoiser(models.use_ema(diffusion.added_noise(flow)), guidance=scale),
        },
    )


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""

    def adam(rate: float, b1: float = 0.9, b2: float = 0.999) -> optax.GradientTransformation:
        return optax.adam(lambda step: (config.learning_rate or rate) / (1 + step / 16_000), b1=b1, b2=b2)

    if config.autoencoder_steps != Config.autoencoder_steps and not has_maps(config, spec):
        raise InputError(f"--autoencoder-steps {config.autoencoder_steps}: only a flow of 48x48 or more has a VAE.")
    if config.family == "gan":
        return build_gan(config, spec, adam(1e-3, b1=0.0, b2=0.99))
    return build_vae(config, spec, adam(3e-4)) if config.family == "vae" else build_flow(config, spec, adam(1e-3))


def main() -> None:
    """Trains as the command line says."""
    config = tyro.cli(Config)
    prepare = partial(tokenized, length=WORDS, size=VOCABULARY) if config.text else None

    def warn(directory: RunDirectory) -> None:
        is_pixels = (directory.path / "denoiser").is_dir()
        if config.family == "flow" and not is_pixels and directory.step() <= config.autoencoder_steps:
            say(f"The flow has not trained yet: --autoencoder-steps {config.autoencoder_steps} come first.")

    run(config, build, name="pictures", prepare=prepare, afterwards=warn)


if __name__ == "__main__":
    command(main)
