"""A model of any pictures.  python experiments/pictures.py --data <folder> --size 64

    gan     sharp images; adaptive augmentation: Karras et al. (2020), https://arxiv.org/abs/2006.06676
    vae     blurred images, but it encodes images as well: residual networks, a discretised mixture of logistics

The depth of the networks and the weight of the penalties follow from the size.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import optax
import tyro
from jax.nn.initializers import he_normal

from jaxgen import ImageSpec, InputError, add, chain, ema, lazily, minimize, models, nets
from jaxgen.data import Dataset, train_tokenizer, with_text
from jaxgen.export import export_controls
from jaxgen.losses import discretized_logistic_mixture, logistic_discriminator, non_saturating_generator
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, command, run

WORDS, VOCABULARY = 64, 4_096  # the most words of a caption, and of all captions


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw pictures like those of a folder."""

    data: str = "pictures"
    """A folder of images, an archive of one, or an .npz."""
    family: Literal["gan", "vae"] = "gan"
    """gan draws sharper images, vae trains on any images and also encodes them."""
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
    """Channels next to the image: 32, for a vae 16; half of that above 128x128 or if small, twice if large."""
    latent_size: Count = 64
    """Latent dimension."""
    learning_rate: Positive | None = None
    """Adam's, by default 1e-3 for gan and 3e-4 for vae; it decays as lr / (1 + step / 16,000)."""


def width_of(config: Config, spec: ImageSpec) -> int:
    """Channels next to the image."""
    if config.width and config.preset != Config.preset:
        raise InputError(f"--preset {config.preset} and --width {config.width}: give one of them.")
    base = (32 if config.family == "gan" else 16) // (1 if math.prod(spec[:2]) <= 128 * 128 else 2)
    return config.width or {"small": base // 2, "base": base, "large": 2 * base}[config.preset]


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


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    rate, b1, b2 = (1e-3, 0.0, 0.99) if config.family == "gan" else (3e-4, 0.9, 0.999)
    adam = optax.adam(lambda step: (config.learning_rate or rate) / (1 + step / 16_000), b1=b1, b2=b2)
    return (build_gan if config.family == "gan" else build_vae)(config, spec, adam)


def main() -> None:
    """Trains as the command line says."""
    config = tyro.cli(Config)

    def tokenized(dataset: Dataset) -> Dataset:
        return with_text(dataset, train_tokenizer(dataset.captions, length=WORDS, size=VOCABULARY))

    run(config, build, name="pictures", prepare=tokenized if config.text else None)


if __name__ == "__main__":
    command(main)
