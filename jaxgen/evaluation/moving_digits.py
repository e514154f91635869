"""What a prediction of Moving MNIST keeps, in clips of one digit each: which digit it is, its speed, and the walls.

A digit is where its centre of mass is: the mean place of the pixels, weighted by their values, of which those below a
quarter of white count as background.  An empty frame counts as one in which the digit stood still.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from jaxgen.core.image import ImageSpec
from jaxgen.evaluation.classifiers import DIGIT_CLASSIFIER, classifier_network
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.video import require_clips
from jaxgen.io.errors import InputError

FAINT = 64
"""Values below this are background."""


class DigitMotion(NamedTuple):
    """What is kept of moving digits, with standard errors over clips.

    `identity` is the share of frames whose digit is classified as its label, `speed_error` the distance in pixels a
    frame between its motion and the true one, `bounces` the share of turns at a wall after which it comes back at least
    half as far as the true digit, None if no true digit turns.  `error_after_turns` is the squared error of
    `compare_clips` over the frames after a digit's first turn.
    """

    identity: Estimate
    speed_error: Estimate
    bounces: Estimate | None
    error_after_turns: Estimate | None


def compare_motion(
    known: np.ndarray, predicted: np.ndarray, truth: np.ndarray, labels: np.ndarray, *, digit_size: int = 28
) -> DigitMotion:
    """What predicted frames uint8 [N, T, H, W, 1] of one digit each keep of the truth, [N, T, H, W, 1].

    `known` are the frames before them, [N, K, H, W, 1] with K from 2 on, `labels` int [N] the digits.  `digit_size` is
    the side of the crop around the digit's centre of mass that is classified, resized to 28 pixels by `resize`.

    Raises:
      InputError: no grey clips, or shapes that do not match.
    """
    require_clips(known, predicted, truth)
    frames = [(len(clips), *clips.shape[2:]) for clips in (known, predicted, truth)]
    if len(set(frames)) > 1 or predicted.shape != truth.shape or known.shape[1] < 2 or known.shape[-1] != 1:
        shapes = ", ".join(str(list(clips.shape)) for clips in (known, predicted, truth))
        raise InputError(f"Clips of {shapes}; expected [N, K, H, W, 1] with K from 2 on, and twice [N, T, H, W, 1].")
    if labels.shape != known.shape[:1]:
        raise InputError(f"Labels of {list(labels.shape)}; expected [{len(known)}], that of the digit of each clip.")
    before, paths = known.shape[1], [centres(np.concatenate([known, clips], axis=1)) for clips in (predicted, truth)]
    ours, true = (np.diff(path[:, before - 1 :], axis=1) for path in paths)
    turns = bounces(*paths, known=before)
    squares = np.square((predicted.astype(np.float32) - truth) / 255).sum(axis=(2, 3, 4))
    later = after_turns(paths[1], known=before)
    errors = [square[after].mean() for square, after in zip(squares, later, strict=True) if after.any()]
    return DigitMotion(
        identity=mean_of(recognised(predicted, labels, digit_size).mean(axis=1)),
        speed_error=mean_of(np.linalg.norm(ours - true, axis=-1).mean(axis=1)),
        bounces=mean_of(turns) if len(turns) else None,
        error_after_turns=mean_of(np.array(errors)) if errors else None,
    )


def centres(clips: np.ndarray) -> np.ndarray:
    """The centres of mass of clips uint8 [N, T, H, W, 1], float64 [N, T, 2]: row and column, in pixels."""
    weights = np.where(clips < FAINT, 0, clips)[..., 0].astype(np.float64)
    mass, (height, width) = weights.sum(axis=(2, 3)), weights.shape[2:]
    moments = [weights.sum(axis=3) @ np.arange(height), weights.sum(axis=2) @ np.arange(width)]
    path = np.stack(moments, axis=-1) / np.maximum(mass, 1)[..., np.newaxis]
    middle = (np.array([height, width]) - 1) / 2
    for frame in range(path.shape[1]):
        earlier = path[:, frame - 1] if frame else middle
        path[:, frame] = np.where(mass[:, frame, np.newaxis] > 0, path[:, frame], earlier)
    return path


def recognised(clips: np.ndarray, labels: np.ndarray, digit_size: int) -> np.ndarray:
    """Whether the digit of each frame of clips uint8 [N, T, H, W, 1] is classified as its label, bool [N, T]."""
    num, frames = clips.shape[:2]
    corners = np.rint(centres(clips) - digit_size / 2).astype(int) + digit_size  # MNIST's centres are at pixel 14 of 28
    padded = np.pad(clips, [(0, 0), (0, 0), (digit_size, digit_size), (digit_size, digit_size), (0, 0)])
    crops = [
        frame[top : top + digit_size, left : left + digit_size]
        for clip, places in zip(padded, corners, strict=True)
        for frame, (top, left) in zip(clip, places, strict=True)
    ]
    network = classifier_network(DIGIT_CLASSIFIER, ImageSpec(digit_size, digit_size, 1))
    probabilities = network.extract(np.stack(crops)).probabilities
    assert probabilities is not None
    return probabilities.argmax(axis=-1).reshape(num, frames) == labels[:, np.newaxis]


def bounces(path: np.ndarray, truth: np.ndarray, *, known: int) -> np.ndarray:
    """The share of turns that a path [N, K + T, 2] follows, one value for each clip of which the true path turns.

    A turn is where the true path changes its direction along an axis after the first `known` - 1 frames.  It is
    followed if the path then goes at least half as far in the new direction, until the next turn or the end.
    """
    shares = []
    for ours, true in zip(path, truth, strict=True):
        followed = [
            (ours[end, axis] - ours[start, axis]) / (true[end, axis] - true[start, axis]) >= 0.5
            for axis in (0, 1)
            for start, end in _legs(true[:, axis], known)
        ]
        if followed:
            shares.append(np.mean(followed))
    return np.array(shares)


def after_turns(truth: np.ndarray, *, known: int) -> np.ndarray:
    """Whether each frame after the known ones, bool [N, T], comes after a turn of the true path [N, K + T, 2]."""
    frames = np.arange(known, truth.shape[1])
    starts = [[start for axis in (0, 1) for start, _ in _legs(path[:, axis], known)] for path in truth]
    return np.array([frames > min(turns, default=truth.shape[1]) for turns in starts])


def _legs(path: np.ndarray, known: int) -> list[tuple[int, int]]:
    """First and last frame of each leg after a turn of a path [T] that is made at frame `known` - 1 or later."""
    steps = np.diff(path)
    moves = np.flatnonzero(np.abs(steps) > 0.5).tolist()  # a digit moves by whole pixels
    turns = [after for before, after in pairwise(moves) if steps[before] * steps[after] < 0]
    return [leg for leg in pairwise([*turns, len(path) - 1]) if leg[0] >= known - 1]
