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
    """How many of a block's frames are known from before, at most: about three quarters.

    A digit or a car moves by few pixels in a frame, so that many frames say where it goes, and few are drawn at once.
    """
    return frames - max(1, frames // 4)


def drawn_after(known: int, frames: int) -> int:
    """How many frames of a block of T are drawn after so many known ones: at most a third as many, but at least one.

    After one frame anything may move anywhere, and frames that are drawn together agree on it less well than each one
    agrees with those before it.
    """
    return min(frames - past_of(frames), max(1, known // 3))


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
    frames, at most those of a clip, and the same ones of all films.  A film grows block by block: of a block of T
    frames, which knows the last frames so far, at most `past_of(T)`, `drawn_after` are kept.  If frames are known after
    an unknown one, the first block is drawn at once, since it must lead to them.  `fields` [num, ...] are those of
    further conditions; without `label`, film i has label i modulo the number of classes.  Film i depends on the seed,
    i, its known frames and its fields alone.

    Raises:
      InputError: the known frames are too many, of another size, no such integers or others in each film; a field is
        missing or does not fit.
    """
    frames, *size = sampler.conditions[KNOWN].shape
    known = np.zeros((0, *size), np.int16) if known is None else known
    _require_frames(known, frames, size)
    given = np.full((num, frames, *size), UNKNOWN, np.int16)
    given[:, : known.shape[-4]] = known
    is_known = (given != UNKNOWN).all(axis=(2, 3, 4))
    if (is_known != is_known[0]).any():
        raise InputError("The films know different frames; expected the same ones of all.")
    labels = {name: np.arange(num) % one.classes for name, one in sampler.conditions.items() if one.classes}

    def draw(block: int, given: np.ndarray) -> np.ndarray:
        return sampler.draw(seed, num, start=block * BLOCKS_APART, fields={**labels, **fields, KNOWN: given})

    block, first = 0, int(np.append(is_known[0], False).argmin())  # the frames before the first unknown one
    films = given[:, :first].astype(np.uint8)
    if is_known[0, first:].any():
        block, films = 1, draw(0, given)
    while films.shape[1] < length:
        kept = min(films.shape[1], past_of(frames))
        given = np.full((num, frames, *size), UNKNOWN, np.int16)
        given[:, :kept] = films[:, films.shape[1] - kept :]
        films = np.concatenate([films, draw(block, given)[:, kept : kept + drawn_after(kept, frames)]], axis=1)
        block += 1
    return films[:, :length]


def _require_frames(known: np.ndarray, frames: int, size: list[int]) -> None:
    if known.shape[-3:] != tuple(size) or known.ndim not in (4, 5) or known.shape[-4] > frames:
        raise InputError(f"The known frames are {list(known.shape)}; expected at most {frames} of {size}.")
    if known.dtype.kind not in "iu" or (known.size and (known.min() < UNKNOWN or known.max() > 255)):
        raise InputError(f"The known frames are {known.dtype}; expected integers of 0 to 255, or {UNKNOWN}.")
