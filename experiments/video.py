"""Films by diffusion: the future of frames, what lies between two, or whole clips.  python experiments/video.py --help

Frames are channels of a U-Net, and known ones lie beside them, hidden at random: Voleti, Jolicoeur-Martineau and Pal
(2022), https://arxiv.org/abs/2205.09853.  One network predicts, fills in and generates.  By default it trains on clips
of one moving digit, and ends with a test: Srivastava et al. (2015), https://arxiv.org/abs/1502.04681.  Afterwards

    python -m jaxgen film runs/video --num 16 --out films.gif
    python -m jaxgen film runs/video --past past.gif --num 4 --frames 40 --out futures.gif
    python -m jaxgen film runs/video --first a.png --last b.png --out between.gif
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import numpy as np
import optax
import tyro

from jaxgen import ImageSpec, chain, ema, minimize
from jaxgen.data import Dataset, load, moving_mnist
from jaxgen.evaluation import compare_clips, compare_motion, extrapolate, repeat_last, write_results
from jaxgen.export import draw_films, export_sampler, load_clip_sampler, save_animation
from jaxgen.models import Diffusion, denoising_loss, power_decay, use_ema
from jaxgen.models.diffusion import (
    channels_of,
    clean,
    clip_sampler,
    flow_matching_weight,
    hide_frames,
    known_frames,
    linear,
    logit_normal_times,
    strip_sampler,
    uniform_grid,
)
from jaxgen.nets import DiffusionUNet, WithMaps
from jaxgen.training import Bounds, Count, Positive, Recipe, RunConfig, RunDirectory, UserSize, command, run

DIGITS = "moving_mnist"
FUTURE, SHOWN = 10, 8
"""Frames that the test predicts, after as many known ones; clips in its picture."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Learn films: predict frames, fill in between frames, and draw clips."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"sample_steps", "test_clips"}

    data: str = DIGITS
    """moving_mnist, or a folder or an archive of clips: animated GIF, WEBP or PNG, or folders of frames."""
    size: UserSize | None = (32, 32)
    """Bring all frames to this size."""
    digits: Count = 1
    """Digits in a clip of moving_mnist."""
    frames: Annotated[int, Bounds(least=2)] = 10
    """Frames of a clip; the first half is the past in predictions.  Longer films are drawn block by block."""
    max_minutes: Positive = 60.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 32
    """Clips per step, over all devices."""
    width: Count = 48
    """Channels of the U-Net's largest map, which has half the sides of a frame."""
    levels: Annotated[int, Bounds(least=1, most=6)] = 2
    """Levels of the U-Net, each of half the size of the one before."""
    sample_steps: Annotated[int, Bounds(least=2)] = 10
    """Steps of Heun's method for a clip, two evaluations of the network each."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 20,000)."""
    test_clips: Annotated[int, Bounds(least=0)] = 1_000
    """Clips of moving_mnist for the test at the end; 0 for none."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to sample from it."""
    frames, past = config.frames, config.frames // 2
    multipliers = (1, *[2] * (config.levels - 1))
    model = Diffusion(
        network=WithMaps(DiffusionUNet(config.width, multipliers, folded=True, dtype=config.dtype)),
        spec=channels_of(spec, frames),
        schedule=linear(logit_normal_times()),
        prediction=clean,
        conditions=known_frames(spec, frames),
        grid=uniform_grid(config.sample_steps),
    )
    # Half of the clips have a past, a quarter two ends, and of a quarter nothing is known.
    patterns = [range(past), range(past), [0, frames - 1], []]
    loss = hide_frames(denoising_loss(model, flow_matching_weight()), patterns)
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000))
    return Recipe(
        networks=partial(model.init, spec=model.spec),
        update=chain(
            denoiser=minimize(loss, adam, wrt="denoiser"),
            average=ema("denoiser", into="denoiser_ema", decay=power_decay(0.1)),
        ),
        sampler=use_ema(strip_sampler(model)),
        exports={"clips": export_sampler(use_ema(clip_sampler(model)))},
    )


def digits_in(config: Config, split: str, frames: int, num: int | None = None) -> Dataset:
    """Clips of moving digits of a split."""
    digits = load("mnist", split=split, data_dir=config.data_dir, offline=config.offline)
    return moving_mnist(digits, num=num, frames=frames, size=config.size or (32, 32), num_digits=config.digits)


def test_digits(directory: RunDirectory, config: Config, test: Dataset) -> None:
    """Predicts frames 11 to 20 of test clips, and measures them beside predictions that need no network."""
    past = config.frames // 2
    known, truth = test.pixels[:, :FUTURE], test.pixels[:, FUTURE:]
    sampler = load_clip_sampler(directory.path / "clips")
    seen = known[:, -past:]
    drawn = draw_films(sampler, config.seed, len(known), seen.shape[1] + FUTURE, seen)[:, seen.shape[1] :]
    ways = {"diffusion": drawn, "extrapolated": extrapolate(known, FUTURE), "repeated": repeat_last(known, FUTURE)}
    results = {name: compare_clips(way, truth)[0]._asdict() for name, way in ways.items()}
    if config.digits == 1:
        side = min(28, min(test.spec[:2]) // 2)
        for name, way in ways.items():
            motion = compare_motion(known, way, truth, test.arrays["label"], digit_size=side)
            results[name] |= {measure: value for measure, value in motion._asdict().items() if value is not None}
    details = {"clips": len(known), "data": test.source}
    write_results(directory.path / "test.json", results, title=f"{len(known):,} test clips", details=details)
    rows = [np.concatenate([known, way], axis=1)[:SHOWN] for way in (truth, drawn)]
    films = np.moveaxis(np.concatenate(rows), 0, 1)
    save_animation(directory.path / "predicted.gif", films, columns=SHOWN, is_loop=True)


def main() -> None:
    """Trains and tests as the command line says."""
    config = tyro.cli(Config)
    is_digits, test = config.data == DIGITS, None
    if is_digits and config.test_clips:  # read now: no run should end without its test
        clips = digits_in(config, "test", 2 * FUTURE, config.test_clips)
        test = partial(test_digits, config=config, test=clips)
    run(
        config,
        build,
        name="video",
        data=digits_in(config, "train", config.frames) if is_digits else None,
        afterwards=test,
    )


if __name__ == "__main__":
    command(main)
