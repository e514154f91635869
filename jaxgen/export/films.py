"""Films by an exported sampler of frames, each given those around it that are known."""

from collections.abc import Mapping

import numpy as np

from jaxgen.core.condition import KNOWN, UNKNOWN
from jaxgen.export.sampler import ExportedSampler, load_sampler
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath
from jaxgen.io.terminal import progress

FRAME_SAMPLER = "frames"
"""The folder of a run with its sampler of frames."""
FRAMES_APART = 2**16
"""Frame t of film i is drawn as image t FRAMES_APART + i of the seed, however many films there are."""
MOST_FRAMES = 2**31 // FRAMES_APART
"""Images are numbered in int32."""
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
    """Films uint8 [num, length, H, W, C] around known frames.

    `known` are integers of 0 to 255, or -1 where unknown, [K, H, W, C] for all films, or [num, K, H, W, C]: the first K
    frames, at most those T of a clip, and the same ones of all films.  Frames are drawn one by one, given the T - 1
    before them and those after them that are known.  `fields` [num, ...] are those of further conditions; without
    `label`, film i has label i modulo the number of classes.  Film i depends on the seed, i, its known frames and its
    fields alone.

    Raises:
      InputError: the known frames are too many, of another size, no such integers, known in part, or others in each
        film; a field is missing or does not fit; more than 65,536 films, or 32,768 frames.
      MemoryError: the films do not fit into memory.
    """
    if num > FRAMES_APART or length > MOST_FRAMES:
        raise InputError(f"{num:,} films of {length:,} frames; at most {FRAMES_APART:,} of {MOST_FRAMES:,} are drawn.")
    sampler.require_memory(num * length)
    frames, size = clip_length(sampler), sampler.conditions[KNOWN].shape[1:]
    given = np.zeros((0, *size), np.int16) if known is None else known
    is_given = _known_frames(given, num, frames, size)
    # Beyond both ends of the films all frames are unknown, too.
    reach, whole = frames - 1, max(length, len(is_given))
    films = np.zeros((num, whole + 2 * reach, *size), np.uint8)
    is_known = np.zeros(films.shape[1], bool)
    films[:, reach : reach + len(is_given)] = np.maximum(given, 0)
    is_known[reach : reach + len(is_given)] = is_given
    labels = {name: np.arange(num) % one.classes for name, one in sampler.conditions.items() if one.classes}

    def draw(number: int) -> None:
        window = slice(number, number + 2 * reach + 1)
        around = np.where(is_known[window, None, None, None], films[:, window].astype(np.int16), np.int16(UNKNOWN))
        conditions = {**labels, **fields, KNOWN: np.delete(around, reach, axis=1)}
        start = number * FRAMES_APART
        films[:, number + reach] = sampler.draw(seed, num, start=start, fields=conditions, size=BATCH)
        is_known[number + reach] = True

    unknown = np.flatnonzero(~is_known[reach : reach + length])
    progress(draw, unknown.tolist(), f"Drawing {num:,} films")
    return films[:, reach : reach + length]


def _known_frames(given: np.ndarray, num: int, frames: int, size: tuple[int, ...]) -> np.ndarray:
    """Which of the given frames are known, bool [K]; refuses what `draw_films` says."""
    if given.shape[-3:] != size or given.ndim not in (4, 5) or given.shape[-4] > frames:
        raise InputError(f"The known frames are {list(given.shape)}; expected at most {frames} of {list(size)}.")
    if given.ndim == 5 and len(given) != num:
        raise InputError(f"Known frames of {len(given)} films were given for {num}.")
    if given.dtype.kind not in "iu" or (given.size and (given.min() < UNKNOWN or given.max() > 255)):
        raise InputError(f"The known frames are {given.dtype}; expected integers of 0 to 255, or {UNKNOWN}.")
    pixels = (given if given.ndim == 5 else given[np.newaxis]) != UNKNOWN
    is_known = pixels[0].all(axis=(1, 2, 3))
    if (pixels != is_known[:, None, None, None]).any():
        raise InputError("The films know different frames, or parts of frames; expected the same whole ones of all.")
    return is_known
