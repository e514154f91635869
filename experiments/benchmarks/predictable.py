"""The best possible prediction of a moving digit.  python experiments/benchmarks/predictable.py --help

Frames show a digit at whole pixels, so that its exact place and velocity remain unknown, and a perfect prediction errs
too.  Here futures are drawn from their exact posterior, by the rules of Moving MNIST, given the corner of the digit in
the known frames (which a frame shows but for the digit's margins), and measured as in the test of `video.py`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxgen.data import load
from jaxgen.data.moving_mnist import STEP, TEST_SEED, draw_clips, trajectories
from jaxgen.evaluation import compare_clips, compare_motion, frechet_of_clips, write_results
from jaxgen.evaluation.clip_features import FRECHET_OF_CLIPS
from jaxgen.io.terminal import progress
from jaxgen.nets.features.classifier import FEATURES
from jaxgen.training import Bounds, Count, Seed, UserPath, command

SIDE, DIGIT, HALF = 32, 16, 10
"""Pixels of a frame and of a digit, and frames that are known or predicted."""
ROOM = SIDE - DIGIT
DRAWN = 2**18
"""Clips drawn at a time."""


@dataclass(frozen=True)
class Options:
    """Measure futures from their exact posterior, of Moving MNIST with one digit in frames of 32x32."""

    clips: Count = 1_000
    """Test clips."""
    known: Annotated[int, Bounds(least=2, most=HALF)] = HALF - 1
    """How many of the ten frames before are known: the last ones, by default as many as `video.py` is given."""
    data_dir: UserPath | None = None
    """The folder of TFDS data sets."""
    offline: bool = False
    """Never download."""
    seed: Seed = 0
    """Random seed."""
    out: UserPath = Path("predictable.json")
    """The measures as JSON."""


def draw_future(corners: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Corners int [10, 2] of a future, drawn from its exact posterior given those of the known frames, int [K, 2].

    Rejection sampling: clips are drawn by the rules until one shows the known frames.  Where a digit starts is uniform,
    so it suffices to draw it within reach of the first known place.
    """
    unseen = HALF - len(corners)
    reach = STEP * (unseen + 1)
    low, high = np.clip([corners[0] / ROOM - reach, (corners[0] + 1) / ROOM + reach], 0, 1)
    while True:
        start, angle = rng.uniform(low, high, (DRAWN, 1, 2)), rng.uniform(0, 2 * np.pi, (DRAWN, 1))
        velocity = STEP * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        drawn = (ROOM * trajectories(start, velocity, 2 * HALF)[:, unseen:, 0]).astype(int)
        fits = (drawn[:, : len(corners)] == corners).all(axis=(1, 2))
        if fits.any():
            return drawn[fits.argmax(), len(corners) :]


def film(digit: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """A clip uint8 [T, 32, 32, 1] of a digit uint8 [16, 16, 1] at corners int [T, 2]."""
    clip = np.zeros((len(corners), SIDE, SIDE, 1), np.uint8)
    for frame, (top, left) in zip(clip, corners, strict=True):
        frame[top : top + DIGIT, left : left + DIGIT] = digit
    return clip


def main() -> None:
    """Draws a future for each test clip, and measures them."""
    options = tyro.cli(Options)
    digits = load("mnist", split="test", data_dir=options.data_dir, offline=options.offline)
    true = draw_clips(
        digits.arrays["image"],
        digits.arrays["label"],
        TEST_SEED,
        range(options.clips),
        frames=2 * HALF,
        size=(SIDE, SIDE),
        num_digits=1,
        digit_size=DIGIT,
    )
    rng, corners = np.random.default_rng(options.seed), true.positions[:, :, 0].astype(int)

    def draw(index: int) -> np.ndarray:
        (top, left), last = corners[index, HALF - 1], true.clips[index, HALF - 1]
        future = draw_future(corners[index, HALF - options.known : HALF], rng)
        return film(last[top : top + DIGIT, left : left + DIGIT], future)

    predicted = np.stack(progress(draw, range(options.clips), "Drawing futures"))
    known, truth = true.clips[:, :HALF], true.clips[:, HALF:]
    motion = compare_motion(known, predicted, truth, true.labels[:, 0], digit_size=DIGIT)
    measures = compare_clips(predicted, truth)[0]._asdict() | motion._asdict()
    if options.clips > FEATURES:
        measures[FRECHET_OF_CLIPS] = frechet_of_clips(predicted, truth, seed=options.seed)
    results = {"posterior": {name: value for name, value in measures.items() if value is not None}}
    details = {"clips": options.clips, "known": options.known, "data": digits.source}
    write_results(options.out, results, title=f"{options.clips:,} test clips", details=details)


if __name__ == "__main__":
    command(main)
