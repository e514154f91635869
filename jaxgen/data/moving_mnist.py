"""Moving MNIST: digits that move in straight lines and bounce off the walls.

Srivastava, Mansimov and Salakhutdinov (2015), https://arxiv.org/abs/1502.04681, by the rules of their generator.  The
top left corner p of a digit is in [0, 1]^2, in units of the frame's side less the digit's:

    (1) p_0 uniform in [0, 1]^2,   v_0 = 0.1 (sin a, cos a),   a uniform in [0, 2 pi)
    (2) p_t = p_{t-1} + v; along each axis, p_t <= 0 or >= 1 is set to that wall, and v changes its sign
    (3) frame t = 1, ..., T has the digit at floor((side - digit side) p_t); where digits overlap, the brighter pixel

Clip i of a seed has random numbers of its own: it does not depend on how many clips are made.
"""

from collections.abc import Sequence
from hashlib import sha256
from math import floor
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgen.data.dataset import Dataset, StreamedDataset, in_memory, read_arrays
from jaxgen.io.errors import InputError

STEP = 0.1
"""The length of v in (1): what a digit moves in a frame."""
FRAMES, SIZE, DIGIT, NUM_DIGITS = 20, (64, 64), 28, 2
"""The published clips: frames, their height and width, the side of a digit, and digits in a clip."""
TRAIN_SEED, TEST_SEED = 0, 1
NUM_TRAIN, NUM_TEST = 60_000, 10_000
"""Clips of a split; the published test set has 10,000, and training clips are drawn without end."""


class MovingDigits(NamedTuple):
    """Clips uint8 [B, T, H, W, 1] and their truth.

    `labels` are int32 [B, D].  `positions` float64 [B, T, D, 2] are row and column of the digits' top left corners, in
    pixels before (3) truncates them.
    """

    clips: np.ndarray
    labels: np.ndarray
    positions: np.ndarray


def draw_clips(
    digits: np.ndarray,
    labels: np.ndarray,
    seed: int,
    indices: Sequence[int] | np.ndarray,
    *,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    num_digits: int = NUM_DIGITS,
    digit_size: int = DIGIT,
) -> MovingDigits:
    """Draws the clips `indices` [B] of a seed from digits uint8 [N, 28, 28, 1] with labels [N].

    `size` is the height and width of a frame.  Digits of another `digit_size` are resized by averaging areas; 28 pixels
    would have only 4 to move in frames of 32, so give 16 there.

    Raises:
      InputError: the digits have another shape, or do not fit into a frame.
    """
    if digits.dtype != np.uint8 or digits.ndim != 4 or digits.shape[1:] != (DIGIT, DIGIT, 1) or not len(digits):
        raise InputError(f"The digits are {digits.dtype}{list(digits.shape)}; expected uint8[N, {DIGIT}, {DIGIT}, 1].")
    if not 0 < digit_size <= min(size):
        raise InputError(f"Digits of {digit_size} pixels do not fit into frames of {size[0]}x{size[1]}.")
    uniform = np.array([np.random.default_rng((seed, index)).random((num_digits, 4)) for index in indices])
    chosen, angle = (uniform[..., 0] * len(digits)).astype(int), 2 * np.pi * uniform[..., 3]
    velocity = STEP * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    positions = (np.array(size) - digit_size) * trajectories(uniform[..., 1:3], velocity, frames)
    clips = np.zeros((len(uniform), frames, *size, 1), np.uint8)
    for clip, numbers, corners in zip(clips, chosen, positions, strict=True):
        moving = [_resized(digits[number], digit_size) for number in numbers]
        for frame, places in zip(clip, corners.astype(int).tolist(), strict=True):
            for digit, (top, left) in zip(moving, places, strict=True):
                window = frame[top : top + digit_size, left : left + digit_size]
                np.maximum(window, digit, out=window)
    return MovingDigits(clips, labels[chosen].astype(np.int32), positions)


def trajectories(start: np.ndarray, velocity: np.ndarray, frames: int) -> np.ndarray:
    """Positions [B, T, D, 2] in the unit square from where digits start, [B, D, 2], and their velocities, (2)."""
    position, path = start, []
    for _ in range(frames):
        position = position + velocity
        velocity = np.where((position <= 0) | (position >= 1), -velocity, velocity)
        position = np.clip(position, 0, 1)
        path.append(position)
    return np.stack(path, axis=1)


def moving_mnist(
    digits: Dataset,
    *,
    num: int | None = None,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    num_digits: int = NUM_DIGITS,
) -> Dataset:
    """Clips of moving digits in memory, as `stream_moving_mnist` draws them.

    Raises:
      InputError: as `stream_moving_mnist`.
    """
    streamed = stream_moving_mnist(digits, num=num, frames=frames, size=size, num_digits=num_digits)
    return in_memory(streamed, read_arrays(streamed))


def stream_moving_mnist(
    digits: Dataset,
    *,
    num: int | None = None,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    num_digits: int = NUM_DIGITS,
) -> StreamedDataset:
    """Clips of moving digits, drawn when they are read; those of single digits have their `label`.

    `digits` are those of a split of MNIST, which chooses the seed and, unless `num` is given, the number of clips.
    A digit has 28 pixels, or half the shorter side of a small frame.

    Raises:
      InputError: as `draw_clips`, the digits have no labels, or a clip would have one frame.
    """
    if "label" not in digits.arrays:
        raise InputError(f"{digits.source} has no labels; expected MNIST.")
    if frames < 2:
        raise InputError(f"--frames {frames}: a clip has at least 2.")
    images, labels, digit_size = digits.arrays["image"], digits.arrays["label"], min(DIGIT, floor(min(size) / 2))
    seed, usual = (TEST_SEED, NUM_TEST) if digits.split == "test" else (TRAIN_SEED, NUM_TRAIN)

    def read(index: int) -> dict[str, np.ndarray]:
        drawn = draw_clips(
            *(images, labels, seed, [index]), frames=frames, size=size, num_digits=num_digits, digit_size=digit_size
        )
        return {"clip": drawn.clips[0]} | ({"label": drawn.labels[0, 0]} if num_digits == 1 else {})

    drawn_by = f"{digits.digest} {seed} {frames} {size} {num_digits} {digit_size}"
    return StreamedDataset(
        read=read,
        size=num or usual,
        fields={name: (value.shape, value.dtype) for name, value in read(0).items()},
        source=f"moving MNIST of {num_digits} digits a clip, from {digits.source}",
        split=digits.split,
        digest=sha256(drawn_by.encode()).hexdigest(),
        class_names=digits.class_names if num_digits == 1 else (),
        num_classes=digits.classes if num_digits == 1 else None,
    )


def _resized(digit: np.ndarray, side: int) -> np.ndarray:
    """A digit uint8 [28, 28, 1] as [side, side, 1], by averaging areas."""
    if side == DIGIT:
        return digit
    return np.asarray(Image.fromarray(digit[..., 0]).resize((side, side), Image.Resampling.BOX))[..., np.newaxis]
