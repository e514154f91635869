"""Films by diffusion: the future of frames, what lies between two, or whole clips.  python experiments/video.py --help

A U-Net draws frame by frame, each given the known frames around it, which are hidden at random in training: Voleti,
Jolicoeur-Martineau and Pal (2022), https://arxiv.org/abs/2205.09853.  One network predicts, fills in and generates.  By
default it trains on clips of one moving digit, and ends with a test: Srivastava et al. (2015),
https://arxiv.org/abs/1502.04681.  Afterwards

    python -m jaxgen film runs/video --num 16 --out films.gif
    python -m jaxgen film runs/video --past past.gif --num 4 --frames 40 --out futures.gif
    python -m jaxgen film runs/video --first a.png --last b.png --out between.gif
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import optax
import tyro

from jaxgen import ImageSpec, InputError, add, chain, ema, minimize
from jaxgen.data import Dataset, load, moving_mnist, tokenized
from jaxgen.evaluation import evaluate_predictions
from jaxgen.export import FRAME_SAMPLER, export_sampler
from jaxgen.models import Diffusion, denoising_loss, drop_condition, labels, power_decay, text, use_ema
from jaxgen.models.diffusion import (
    classifier_free,
    clean,
    flow_matching_weight,
    frame_of_clip,
    known_frames,
    linear,
    logit_normal_times,
    motion_loss,
    strip_sampler,
    unguided,
    uniform_grid,
)
from jaxgen.nets import DiffusionUNet, MotionEncoder, TextEncoder, WithMaps, WithMotion, WithText
from jaxgen.training import Bounds, Count, GuidanceScale, Positive, Recipe, RunConfig, UserSize, command, run

DIGITS = "moving_mnist"
FUTURE = 10
"""Frames that the test predicts, after as many known ones."""
WORDS, VOCABULARY = 16, 4_096
"""The most words of a caption, and of all captions."""


@dataclass(frozen=True)
class Config(RunConfig):
    """Learn films: predict frames, fill in between frames, and draw clips."""

    free: ClassVar[frozenset[str]] = RunConfig.free | {"guidance", "sample_steps", "test_clips"}

    data: str = DIGITS
    """moving_mnist, or a folder or an archive of clips: animated GIF, WEBP or PNG, MP4, MOV or WEBM, or folders of
    frames."""
    size: UserSize | None = (32, 32)
    """Bring all frames to this size."""
    digits: Count = 1
    """Digits in a clip of moving_mnist."""
    frames: Annotated[int, Bounds(least=2)] = 10
    """Frames T of a clip.  In films, a frame is drawn given up to T - 1 frames before it."""
    drop_short: bool = False
    """Leave out clips of fewer frames; otherwise they are an error."""
    classes: Literal["auto"] | Annotated[int, Bounds(least=0)] = 0
    """Classes that the network is conditioned on; auto for those of the data, such as its subfolders; 0 for none."""
    text: bool = False
    """Condition the network on the captions; the clips must then fit into memory."""
    guidance: GuidanceScale = 1.0
    """Scale of classifier-free guidance towards the label and the caption: 1 for none, above 1 to strengthen them."""
    max_minutes: Positive = 60.0
    """Minutes until the run stops and saves everything; the same command resumes it."""
    batch_size: Count = 16
    """Clips per step, over all devices."""
    width: Count = 48
    """Channels of the U-Net's largest map, which has half the sides of a frame."""
    levels: Annotated[int, Bounds(least=1, most=6)] = 2
    """Levels of the U-Net, each of half the size of the one before."""
    sample_every: Count = 5_000
    """Steps between sample grids, whose frames are drawn one after the other."""
    sample_steps: Annotated[int, Bounds(least=2)] = 10
    """Steps of Heun's method for a frame, two evaluations of the network each but the last."""
    learning_rate: Positive = 1e-3
    """Adam's; it decays as lr / (1 + step / 20,000)."""
    test_clips: Annotated[int, Bounds(least=0)] = 1_000
    """Clips of moving_mnist for the test at the end; 0 for none."""


def build(config: Config, spec: ImageSpec) -> Recipe:
    """The network, how it trains, and how to sample from it."""
    frames = config.frames
    multipliers = (1, *[2] * (config.levels - 1))
    unet = DiffusionUNet(config.width, multipliers, folded=True, dtype=config.dtype)
    reader = WithText(unet, TextEncoder(VOCABULARY, dtype=config.dtype)) if config.text else unet
    described = (text(WORDS) if config.text else {}) | (labels(int(config.classes)) if config.classes else {})
    if config.guidance != 1 and not described:
        raise InputError(
            f"--guidance {config.guidance} strengthens a label or a caption: give --classes or --text too."
        )
    model = Diffusion(
        network=WithMotion(WithMaps(reader), MotionEncoder(frames, dtype=config.dtype)),
        spec=spec,
        schedule=linear(logit_normal_times(0.5)),
        prediction=clean,  # what WithMotion outputs
        conditions=known_frames(spec, frames) | described,
        grid=uniform_grid(config.sample_steps),
        guidance=classifier_free(config.guidance, kept=1) if config.guidance != 1 else unguided,
    )
    given = given_frames(frames)
    patterns = [*given, *nothing_given(frames, len(given))]  # half of the images are drawn from nothing
    denoising = frame_of_clip(denoising_loss(model, flow_matching_weight()), frames, patterns)
    loss = add(denoising=denoising, motion=frame_of_clip(motion_loss(model), frames, given))
    loss = drop_condition(loss, described) if described else loss
    adam = optax.adam(lambda step: config.learning_rate / (1 + step / 20_000))
    return Recipe(
        networks=partial(model.init, spec=model.spec),
        update=chain(
            denoiser=minimize(loss, adam, wrt="denoiser"),
            average=ema("denoiser", into="denoiser_ema", decay=power_decay(0.1)),
        ),
        sampler=use_ema(strip_sampler(model)),
        exports={FRAME_SAMPLER: export_sampler(use_ema(model.sampler()))},
    )


def nothing_given(frames: int, num: int) -> list[tuple[int, list[int]]]:
    """Patterns of `frame_of_clip` without known frames, `num` of them, of all frames in turn."""
    return [(number % frames, []) for number in range(num)]


def given_frames(frames: int) -> list[tuple[int, list[int]]]:
    """Patterns of `frame_of_clip` with known frames: those before the image, or those and the last one of the clip."""
    # The last frame, given all others, comes most often: so are most frames of a long film drawn.
    last = frames - 1
    futures = [(number, [*range(number)]) for number in [*range(1, frames), *[last] * (frames // 2)]]
    between = [(number, [*range(number), last]) for number in range(last)]
    return futures + between


def digits_in(config: Config, split: str, frames: int, num: int | None = None) -> Dataset:
    """Clips of moving digits of a split."""
    digits = load("mnist", split=split, data_dir=config.data_dir, offline=config.offline)
    return moving_mnist(digits, num=num, frames=frames, size=config.size or (32, 32), num_digits=config.digits)


def main() -> None:
    """Trains and tests as the command line says."""
    config = tyro.cli(Config)
    is_digits, test = config.data == DIGITS, None
    if is_digits and config.drop_short:
        raise InputError(f"--drop-short: the clips of {DIGITS} are all of one length; leave it out.")
    if is_digits and config.test_clips:  # read now: no run should end without its test
        clips = digits_in(config, "test", 2 * FUTURE, config.test_clips)
        test = partial(evaluate_predictions, test=clips, seed=config.seed)
    run(
        config,
        build,
        name="video",
        data=digits_in(config, "train", config.frames) if is_digits else None,
        prepare=partial(tokenized, length=WORDS, size=VOCABULARY) if config.text else None,
        afterwards=test and (lambda directory: test(directory.path)),
    )


if __name__ == "__main__":
    command(main)
