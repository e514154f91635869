"""A texture without seams, learnt from one picture.  python experiments/texture.py --data <picture>

A diffusion model (EDM: Karras et al. (2022), https://arxiv.org/abs/2206.00364, table 1) of small crops of the picture.
Its network is convolutional and sees a neighbourhood rather than the whole crop: Wang et al. (2022),
https://arxiv.org/abs/2211.12445.  Afterwards the same weights draw a larger image on a torus, by convolutions with
circular padding: tile.png repeats without a seam, and tiles.png is two by two of it.

    python -m jaxgen panorama runs/texture --width 960 --height 192 --tile --out wide.png

draws tiles of other sizes from the windows that the network was trained on.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import jax
import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, InputError, Networks, chain, ema, minimize, to_uint8
from jaxgen.data import crops_of_picture
from jaxgen.export import export_denoiser, save_image
from jaxgen.models import Diffusion, denoising_loss, ema_networks, ema_warmup, use_ema
from jaxgen.models.diffusion import added_noise, dpm_solver_2m, karras, karras_grid, karras_weight, variance_exploding
from jaxgen.nets import DiffusionUNet
from jaxgen.training import (
    Bounds,
    Count,
    Positive,
    Recipe,
    RunConfig,
    RunDirectory,
    UserSize,
    best_networks,
    command,
    run,
)

CROPS, STEPS, MULTIPLE = 4_096, 24, 8
"""Crops of the picture, steps of the solver, and what the sides of the network's images are multiples of."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Learn a texture from a picture, and draw a tile of it."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"tile"}

    data: str = "picture.jpg"
    """A picture."""
    side: Count = 192
    """Pixels of the picture's shorter side, which it is resized to: the more, the less of it a crop shows."""
    size: UserSize = (48, 48)
    """Height and width of the crops, multiples of 8."""
    tile: Annotated[int, Bounds(least=8, most=4_096)] = 192
    """Sides of the tile that is drawn, a multiple of 8."""
    max_minutes: Positive = 12.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 8
    """Images per step, over all devices."""
    sample_every: Count = 2_000
    """Steps between sample grids."""
    width: Count = 32
    """Channels of the U-Net's largest map, of half the image's sides."""
    learning_rate: Positive = 2e-3
    """Adam's; it decays as lr / (1 + step / 4,000)."""


def make_model(config: Config, spec: ImageSpec, *, is_torus: bool = False) -> Diffusion:
    """The model of crops, or that of images which wrap around, with the same weights."""
    wrap = is_torus, is_torus
    return Diffusion(
        DiffusionUNet(config.width, (1, 2, 2), attended=0, folded=True, wrap=wrap, dtype=config.dtype),
        spec,
        schedule=variance_exploding(),
        prediction=karras(),
        solver=dpm_solver_2m,
        grid=karras_grid(STEPS),
    )


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to sample from it."""
    model = make_model(config, spec)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 4_000))
    return Recipe(
        networks=partial(model.init, spec=spec),
        update=chain(
            denoiser=minimize(denoising_loss(model, karras_weight()), adam, wrt="denoiser"),
            average=ema("denoiser", into="denoiser_ema", decay=ema_warmup(0.999)),
        ),
        sampler=use_ema(model.sampler()),
        exports={"denoiser": export_denoiser(use_ema(added_noise(model)))},
    )


def draw_tile(config: Config, networks: Networks, channels: int) -> np.ndarray:
    """A tile uint8 [tile, tile, C], by the averaged network."""
    spec = ImageSpec(config.tile, config.tile, channels)
    draw = jax.jit(make_model(config, spec, is_torus=True).sampler())
    return np.asarray(to_uint8(draw(networks, jax.random.key(config.seed)[None]))[0])


def main() -> None:
    """Trains and draws as the command line says."""
    config = tyro.cli(Config)
    if config.tile % MULTIPLE:
        raise InputError(f"--tile {config.tile}: expected a multiple of {MULTIPLE}.")
    data = crops_of_picture(config.data, config.size, CROPS, side=config.side, seed=config.seed)

    def draw(directory: RunDirectory) -> None:
        networks = ema_networks(best_networks(config, build, directory, data.spec))
        tile = draw_tile(config, networks, data.spec.channels)
        save_image(directory.path / "tile.png", tile)
        save_image(directory.path / "tiles.png", np.tile(tile, (2, 2, 1)))

    run(config, build, name="texture", data=data, afterwards=draw)


if __name__ == "__main__":
    command(main)
