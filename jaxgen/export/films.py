"""Films of any length by an exported sampler of frames, each given those around it that are known."""

from collections.abc import Mapping

import numpy as np

from jaxgen.core.condition import KNOWN, UNKNOWN
from jaxgen.export.sampler import ExportedSampler, load_sampler
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath
from jaxgen.io.terminal import progress

FRAMES = "frames"
"""The folder of a run with its sampler of frames."""
FRAMES_APART = 2**16
"""Frame t of film i is drawn as image t FRAMES_APART + i of the seed, however many films there are."""
BATCH = 4
"""Frames that a CPU draws at a time: few films are drawn in many frames."""


def load_frame_sampler(folder: AnyPath) -> ExportedSampler:
    """The sampler of frames in a folder, which takes known frames.

    Raises:
      InputError: there is none, it is damaged, or it draws images that are no frames.
    """
    sampler = load_sampler(folder)
    if KNOWN not in sampler.conditions:
        raise InputError(f"{folder} draws images; expected a sampler of frames.")
    return sampler


def clip_length(sampler: ExportedSampler) -> int:
    """The frames T of the clips that a sampler of frames was trained on: it sees T - 1 to each side."""
    return sampler.conditions[KNOWN].shape[0] // 2 + 1


def draw_films(
    sampler: ExportedSampler,
    seed: int,
    num: int,
    length: int,
    known: np.ndarray | None = None,
    *,
    fields: Mapping[str, np.ndarray] = {},
) -> np.ndarray:
    """Films uint8 [num, length, H, W, C] of any length, around known frames.

    `known` are integers of 0 to 255, or -1 where unknown, [K, H, W, C] for all films, or [num, K, H, W, C]: the first K
    frames, at most those T of a clip, and the same ones of all films.  Frames are drawn one by one, given the T - 1
    before them and those after them that are known.  `fields` [num, ...] are those of further conditions; without
    `label`, film i has label i modulo the number of classes.  Film i depends on the seed, i, its known frames and its
    fields alone.

    Raises:
      InputError: the known frames are too many, of another size, no such integers or others in each film; a field is
        missing or does not fit.
    """
    frames, size = clip_length(sampler), sampler.conditions[KNOWN].shape[1:]
    known = np.zeros((0, *size), np.int16) if known is None else known
    _require_frames(known, frames, size)
    reach, given = frames - 1, min(length, known.shape[-4])
    # Beyond both ends of the films all frames are unknown, too.
    padded = np.full((num, length + 2 * reach, *size), UNKNOWN, np.int16)
    films = padded[:, reach : reach + length]
    films[:, :given] = known[..., :given, :, :, :]
    is_known = (films != UNKNOWN).all(axis=(2, 3, 4))
    if (is_known != is_known[:1]).any():
        raise InputError("The films know different frames; expected the same ones of all.")
    labels = {name: np.arange(num) % one.classes for name, one in sampler.conditions.items() if one.classes}

    def draw(number: int) -> None:
        around = np.delete(padded[:, number : number + 2 * reach + 1], reach, axis=1)
        drawn = {**labels, **fields, KNOWN: around}
        films[:, number] = sampler.draw(seed, num, start=number * FRAMES_APART, fields=drawn, size=BATCH)

    progress(draw, np.flatnonzero(~is_known.all(axis=0)).tolist(), f"Drawing {num:,} films")
    return films.astype(np.uint8)


def _require_frames(known: np.ndarray, frames: int, size: tuple[int, ...]) -> None:
    if known.shape[-3:] != size or known.ndim not in (4, 5) or known.shape[-4] > frames:
        raise InputError(f"The known frames are {list(known.shape)}; expected at most {frames} of {list(size)}.")
    if known.dtype.kind not in "iu" or (known.size and (known.min() < UNKNOWN or known.max() > 255)):
        raise InputError(f"The known frames are {known.dtype}; expected integers of 0 to 255, or {UNKNOWN}.")
