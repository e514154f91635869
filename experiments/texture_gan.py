"""A texture without seams by a GAN, learnt from one picture.  python experiments/texture_gan.py --data <picture>

The generator turns a map of noise into a torus, by circular convolutions alone, and the discriminator compares a corner
of it with crops of the picture.  The same weights draw textures of any size at once, where the diffusion of texture.py
takes its solver's steps: tile.png repeats without a seam, and tiles.png is two by two of it.

    python -m jaxgen panorama runs/texture_gan --width 1024 --height 256 --out wide.png

draws tiles of other sizes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import numpy as np
import optax
import tyro

from jaxgen import Array, ImageSpec, InputError, Networks, add, chain, ema, lazily, minimize
from jaxgen.data import crops_of_picture
from jaxgen.export import draw_torus, export_controls, export_torus, load_torus, save_image
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
from jaxgen.nets import DCGANDiscriminator, TorusGenerator, forward
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, UserSize, command, run

CROPS, LEVELS = 4_096, 3
"""Crops of the picture, and the generator's levels, each of twice the sides."""

CELL = 2**LEVELS
"""Pixels between neighbouring positions of the map of noise."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Learn a texture from a picture by a GAN, and draw a tile of it."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"tile"}

    data: str = "picture.jpg"
    """A picture."""
    side: Count = 192
    """Pixels of the picture's shorter side, which it is resized to: the more, the less of it a crop shows."""
    size: UserSize = (48, 48)
    """Height and width of the crops."""
    tile: Annotated[int, Bounds(least=8, most=4_096)] = 256
    """Sides of the tile that is drawn, a multiple of 8."""
    max_minutes: Positive = 20.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 16
    """Images per step, over all devices."""
    sample_every: Count = 1_000
    """Steps between sample grids."""
    channels: Count = 16
    """Channels of the map of noise."""
    width: Count = 24
    """Channels next to the image, in both networks."""
    gamma: Annotated[float, Bounds(least=0)] = 1.0
    """Weight of the gradient penalties R1 and R2."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 4,000)."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The networks, how they train, and how to sample from them."""
    generator = TorusGenerator(spec, config.channels, config.width, LEVELS, dtype=config.dtype)
    discriminator = DCGANDiscriminator(config.width, normalize=False, most=8 * config.width, dtype=config.dtype)
    gan = GAN(generator, discriminator, latent_size=generator.latent_size)

    def tori(networks: Networks) -> Callable[[Array], Array]:
        return lambda maps: forward(generator, networks[gan.generator_name], maps, train=False)[0]

    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 4_000), b1=0.0, b2=0.99)
    losses = add(
        adversarial=discriminator_loss(gan, relativistic_paired),
        r1=lazily(4, r1_loss(gan, gamma=config.gamma, one_in=4)),
        r2=lazily(4, r2_loss(gan, gamma=config.gamma, one_in=4)),
    )
    return Recipe(
        networks=partial(gan.init, spec=spec),
        update=share_images(
            gan,
            chain(
                discriminator=minimize(losses, adam, wrt="discriminator"),
                generator=minimize(relativistic_generator_loss(gan, relativistic_paired), adam, wrt="generator"),
                average=ema("generator", into="generator_ema", decay=ema_warmup(0.999)),
            ),
        ),
        sampler=use_ema(gan.sampler()),
        discriminators=("discriminator/adversarial",),
        exports={
            "controls": export_controls(use_ema(gan.controls)),
            "torus": export_torus(use_ema(tori), config.channels),
        },
    )


def main() -> None:
    """Trains and draws as the command line says."""
    config = tyro.cli(Config)
    if config.tile % CELL:
        raise InputError(f"--tile {config.tile}: expected a multiple of {CELL}.")
    data = crops_of_picture(config.data, config.size, CROPS, side=config.side, seed=config.seed)

    def draw(directory: RunDirectory) -> None:
        tile = draw_torus(load_torus(directory.path / "torus"), (config.tile, config.tile), seed=config.seed)
        save_image(directory.path / "tile.png", tile)
        save_image(directory.path / "tiles.png", np.tile(tile, (2, 2, 1)))

    run(config, build, name="texture_gan", data=data, afterwards=draw)


if __name__ == "__main__":
    command(main)
