"""Predicted frames against the true ones, frame by frame, and the predictions that need no network.

Of frames x and y with values from 0 to 255, averaged over clips:

(1) squared error  sum ((x - y) / 255)^2 over the pixels of a frame: what papers on Moving MNIST call MSE
(2) MSE            mean (x - y)^2 over pixels and channels, as in `compare_pairs`
(3) SSIM           as in `compare_pairs`

Standard errors are over clips: the frames of one clip are not independent.
"""

from typing import NamedTuple

import jax
import numpy as np

from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.network import chunk_of
from jaxgen.evaluation.similarity import structural_similarity
from jaxgen.io.errors import InputError


class FrameErrors(NamedTuple):
    """The measures (1), (2) and (3), with standard errors over clips."""

    squared_error: Estimate
    mse: Estimate
    ssim: Estimate


def compare_clips(predicted: np.ndarray, truth: np.ndarray) -> tuple[FrameErrors, tuple[FrameErrors, ...]]:
    """The measures of predicted clips uint8 [N, T, H, W, C], over all frames and for each of the T frames.

    Raises:
      InputError: the clips are not uint8, of several shapes, or smaller than the window of SSIM.
    """
    require_clips(predicted, truth)
    if predicted.shape != truth.shape:
        raise InputError(f"Clips of {list(predicted.shape)} against {list(truth.shape)}; expected one shape.")
    num, frames, *shape = predicted.shape
    errors = np.array(
        [np.square(x.astype(np.float64) - y).mean((1, 2, 3)) for x, y in zip(predicted, truth, strict=True)]
    )
    flat, size = [clips.reshape(-1, *shape) for clips in (predicted, truth)], chunk_of(tuple(shape))
    chunks = [
        jax.device_get(structural_similarity(*(images[start : start + size] for images in flat)))
        for start in range(0, num * frames, size)
    ]
    values = errors * np.prod(shape) / 255**2, errors, np.concatenate(chunks).reshape(num, frames)
    overall = FrameErrors(*(mean_of(array.mean(axis=1)) for array in values))
    return overall, tuple(FrameErrors(*(mean_of(array[:, at]) for array in values)) for at in range(frames))


def repeat_last(known: np.ndarray, frames: int) -> np.ndarray:
    """The last of known frames uint8 [N, K, H, W, C] again and again: [N, frames, H, W, C].

    Raises:
      InputError: the known frames are no clips.
    """
    require_clips(known)
    return known[:, -1:].repeat(frames, axis=1)


def extrapolate(known: np.ndarray, frames: int) -> np.ndarray:
    """Moves what moved between the last two known frames uint8 [N, K, H, W, C] on at its speed: [N, frames, H, W, C].

    The velocity is the shift in whole pixels that maximises the correlation of both frames, less their background, the
    median colour of the last frame's borders.  All that differs from the background moves as one, and stops along an
    axis where it would leave the frame: it bounces off no wall.  Of several objects, the velocity is mostly that of the
    largest and brightest.

    Raises:
      InputError: the known frames are no clips, or fewer than two.
    """
    require_clips(known)
    if known.shape[1] < 2:
        raise InputError("One known frame; expected at least 2, between which the velocity is measured.")
    return np.stack([_extrapolated(clip[-2], clip[-1], frames) for clip in known])


def require_clips(*sets: np.ndarray) -> None:
    """Refuses arrays that are not uint8 [N, T, H, W, C].

    Raises:
      InputError: naming the dtype and the shape.
    """
    for clips in sets:
        if clips.dtype != np.uint8 or clips.ndim != 5 or clips.shape[-1] not in (1, 3) or not clips.size:
            raise InputError(
                f"The clips are {clips.dtype}{list(clips.shape)}; expected uint8[N, T, H, W, C] with C = 1 or 3."
            )


def _extrapolated(before: np.ndarray, last: np.ndarray, frames: int) -> np.ndarray:
    height, width, channels = last.shape
    border = np.concatenate([last[[0, -1]].reshape(-1, channels), last[:, [0, -1]].reshape(-1, channels)])
    background = np.median(border, axis=0).astype(np.uint8)
    predicted = np.broadcast_to(background, (frames, height, width, channels)).copy()
    rows, columns = np.nonzero((last != background).any(axis=-1))
    if not len(rows):
        return predicted
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    moving = last[top:bottom, left:right]
    down, across = _shift(*(frame.astype(np.float64) - background for frame in (before, last)))
    for number, frame in enumerate(predicted, start=1):
        row = np.clip(top + number * down, 0, height - (bottom - top))
        column = np.clip(left + number * across, 0, width - (right - left))
        frame[row : row + bottom - top, column : column + right - left] = moving
    return predicted


def _shift(before: np.ndarray, after: np.ndarray) -> tuple[int, int]:
    """The shift in rows and columns that maximises the correlation of two arrays [H, W, C] that are 0 outside."""
    height, width, _ = before.shape
    padded = 2 * height, 2 * width  # else what leaves at one side would come in at the other
    spectra = [np.fft.rfft2(array, padded, axes=(0, 1)) for array in (before, after)]
    product = (spectra[0].conj() * spectra[1]).sum(axis=-1)
    correlation = np.rint(np.fft.irfft2(product, padded))  # of whole numbers
    row, column = divmod(int(correlation.argmax()), padded[1])
    return row - padded[0] * (row >= height), column - padded[1] * (column >= width)
