"""How many of 1,000 modes a GAN covers.  python experiments/stacked_mnist.py --help

The red, green and blue channels of an image are three random digits, which makes 1,000 modes.  A digit classifier
counts the modes in 26,000 samples of the moving average of the generator: Metz et al. (2017),
https://arxiv.org/abs/1611.02163.  The objective is relativistic with R1 and R2: Huang et al. (2024),
https://arxiv.org/abs/2501.05441, who cover all modes.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, InputError, Networks, add, chain, ema, lazily, minimize
from jaxgen.data import Dataset, make_dataset
from jaxgen.evaluation import count_classes, digit_network
from jaxgen.export import export_controls, seeded
from jaxgen.losses import relativistic_paired
from jaxgen.models import (
    GAN,
    discriminator_loss,
    ema_warmup,
    r1_loss,
    r2_loss,
    relativistic_generator_loss,
    share_images,
    use_ema,
)
from jaxgen.nets import DCGANDiscriminator, DCGANGenerator
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, command, run

DRAW = 500
"""Samples per call."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Draw stacked MNIST digits and count the modes."""

    max_minutes: Positive = 30.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Images per step, over all devices."""
    evaluate_every: Annotated[int, Bounds(least=0)] = 5_000
    """Steps between counts of the modes; the best state is kept in best/.  0 for none."""
    evaluate_num: Annotated[int, Bounds(least=2)] = 26_000
    """Samples in which modes are counted."""
    width: Count = 32
    """Channels of the layer next to the image; each smaller layer has twice as many."""
    hidden: Annotated[int, Bounds(least=0)] = 256
    """Features of the dense layer between the latent and the maps, and between the maps and the logit; 0 for none."""
    latent_size: Count = 64
    """Latent dimension."""
    learning_rate: Positive = 2e-3
    """Adam's for both networks; it decays as lr / (1 + step / 8,000)."""
    gamma: Annotated[float, Bounds(least=0)] = 1.0
    """Weight of the gradient penalties R1 and R2."""


def stack(digits: Dataset) -> Dataset:
    """Stacks three random digits as channels: as many images as there are digits, with labels from 0 to 999.

    Raises:
      InputError: the images are not grey digits of 28x28 with labels.
    """
    if digits.spec != (28, 28, 1) or "label" not in digits.arrays:
        raise InputError(f"Grey digits of 28x28 with labels are stacked; got {digits.source}.")
    chosen = np.random.default_rng(0).integers(0, digits.size, (digits.size, 3))
    image = np.concatenate([digits.arrays["image"][column] for column in chosen.T], axis=-1)
    label = digits.arrays["label"][chosen] @ np.array([100, 10, 1])
    return make_dataset(image, label, source=f"{digits.source}, three stacked", split=digits.split)


def make_gan(config: Config, spec: ImageSpec) -> GAN:
    """Both networks."""
    he_normal = jax.nn.initializers.he_normal()
    return GAN(
        generator=DCGANGenerator(spec, config.width, config.hidden, kernel_init=he_normal, dtype=config.dtype),
        discriminator=DCGANDiscriminator(
            config.width, config.hidden, normalize=False, kernel_init=he_normal, dtype=config.dtype
        ),
        latent_size=config.latent_size,
    )


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, how to sample from them, and how many modes they cover."""
    gan = make_gan(config, spec)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 8_000), b1=0.0, b2=0.99)
    update = chain(
        discriminator=minimize(
            add(
                adversarial=discriminator_loss(gan, relativistic_paired),
                r1=lazily(4, r1_loss(gan, gamma=config.gamma, one_in=4)),
                r2=lazily(4, r2_loss(gan, gamma=config.gamma, one_in=4)),
            ),
            adam,
            wrt="discriminator",
        ),
        generator=minimize(relativistic_generator_loss(gan, relativistic_paired), adam, wrt="generator"),
        average=ema("generator", into="generator_ema", decay=ema_warmup(0.9998)),
    )
    sampler, network = use_ema(gan.sampler()), digit_network()
    draw = jax.jit(lambda networks, index: seeded(sampler, networks)(jnp.uint32(config.seed), index))

    def score(networks: Networks) -> dict[str, float]:
        starts = range(0, config.evaluate_num, DRAW)
        images = np.concatenate([np.asarray(draw(networks, start + jnp.arange(DRAW))) for start in starts])
        images = images[: config.evaluate_num]
        predictions = [network.extract(images[..., [channel]]).probabilities for channel in range(3)]
        digits = [np.asarray(probabilities).argmax(axis=1) for probabilities in predictions]
        modes = count_classes(np.eye(1_000, dtype=np.float32)[np.array([100, 10, 1]) @ np.stack(digits)])
        shares = modes.shares[modes.shares > 0]
        divergence = float((shares * np.log(1_000 * shares)).sum())
        return {"missing_modes": 1_000.0 - modes.covered, "divergence": divergence}

    return Recipe(
        networks=partial(gan.init, spec=spec),
        update=share_images(gan, update),
        sampler=sampler,
        discriminators=("discriminator/adversarial",),
        score=score,
        exports={"controls": export_controls(use_ema(gan.controls))},
    )


def main() -> None:
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="stacked_mnist", prepare=stack)


if __name__ == "__main__":
    command(main)
