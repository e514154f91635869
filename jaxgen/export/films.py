"""Films of any length by an exported sampler of clips, which is conditioned on the frames that are known."""

from collections.abc import Mapping

import numpy as np

from jaxgen.core.condition import KNOWN, UNKNOWN
from jaxgen.export.sampler import ExportedSampler, load_sampler
from jaxgen.io.errors import InputError
from jaxgen.io.files import AnyPath

CLIPS = "clips"
"""The folder of a run with its sampler of clips."""
BLOCKS_APART = 2**16
"""Block b of film i is drawn as image b BLOCKS_APART + i of the seed, however many films there are."""


def load_clip_sampler(folder: AnyPath) -> ExportedSampler:
    """The sampler of clips in a folder, which takes known frames.

    Raises:
      InputError: there is none, it is damaged, or it draws images.
    """
    sampler = load_sampler(folder)
    if KNOWN not in sampler.conditions:
        raise InputError(f"{folder} draws images; expected a sampler of clips.")
    return sampler


def past_of(frames: int) -> int:
    """How many of a block's frames are known from before: about three quarters.

    A digit or a car moves by few pixels in a frame, so that many frames say where it goes, and few are drawn at once.
    """
    return frames - max(1, frames // 4)


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
    frames, at most those of a clip.  Each block of T frames continues the one before: it knows the last `past_of(T)`
    frames of the film so far.  `fields` [num, ...] are those of further conditions; without `label`, film i has
    label i modulo the number of classes.  Film i depends on the seed, i, its known frames and its fields alone.

    Raises:
      InputError: the known frames are too many, of another size or no such integers; a field is missing or does not
        fit.
    """
    frames, *size = sampler.conditions[KNOWN].shape
    known = np.zeros((0, *size), np.int16) if known is None else known
    if known.shape[-3:] != tuple(size) or known.ndim not in (4, 5) or known.shape[-4] > frames:
        raise InputError(f"The known frames are {list(known.shape)}; expected at most {frames} of {size}.")
    if known.dtype.kind not in "iu" or (known.size and (known.min() < UNKNOWN or known.max() > 255)):
        raise InputError(f"The known frames are {known.dtype}; expected integers of 0 to 255, or {UNKNOWN}.")
    given = np.full((num, frames, *size), UNKNOWN, np.int16)
    given[:, : known.shape[-4]] = known
    labels = {name: np.arange(num) % one.classes for name, one in sampler.conditions.items() if one.classes}
    films, block, kept = np.zeros((num, 0, *size), np.uint8), 0, 0
    while films.shape[1] < length:
        drawn = sampler.draw(seed, num, start=block * BLOCKS_APART, fields={**labels, **fields, KNOWN: given})
        films = np.concatenate([films, drawn[:, kept:]], axis=1)
        block, kept = block + 1, past_of(frames)
        given = np.full((num, frames, *size), UNKNOWN, np.int16)
        given[:, :kept] = films[:, -kept:]
    return films[:, :length]
