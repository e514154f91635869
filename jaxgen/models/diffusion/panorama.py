"""Panoramas and seamless textures: a denoiser of larger images, which may wrap around, from a denoiser of windows.

With F_i the cut to window i, F_i^T its place in the larger image, and D the denoiser of images of a window's size,

    (1) D'(x_t) = sum_i F_i^T w_i D(F_i x_t),    sum_i F_i^T w_i = 1

MultiDiffusion, Bar-Tal et al. (2023), https://arxiv.org/abs/2302.08113, averages windows after each step of a solver;
steps that are affine in D, such as `ddim`, make that the same as (1).  The weights w_i fall linearly from a window's
centre to its edges, so that overlapping windows fade into each other: near an edge the denoiser sees less of the image,
and equal weights would jump where a window begins.
"""

from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.types import Array
from jaxgen.io.errors import InputError
from jaxgen.models.diffusion.guidance import Denoiser, Guidance


class Windows(NamedTuple):
    """Windows on an axis: their size and their overlap in pixels, and whether the last one meets the first one."""

    size: int
    overlap: int = 0
    wraps: bool = False

    @property
    def stride(self) -> int:
        """The pixels from one window to the next."""
        return self.size - self.overlap

    def starts(self, side: int, name: str = "A panorama") -> np.ndarray:
        """The first pixels [K] of the windows that cover an axis of `side` pixels; `name` is its name in errors.

        Raises:
          InputError: the axis is shorter than a window, or windows would be left incomplete.
        """
        if not 0 <= self.overlap < self.size:
            raise InputError(f"Windows of {self.size} pixels cannot overlap by {self.overlap}.")
        # An axis that wraps is a number of strides, another one ends with its last window.
        least = -(-self.size // self.stride) * self.stride if self.wraps else self.size
        more, rest = divmod(side - least, self.stride)
        if more < 0 or rest:
            near = f"at least {least}" if more < 0 else f"{side - rest} or {side - rest + self.stride}"
            raise InputError(f"{name}: windows of {self.size} that overlap by {self.overlap} cover {near} pixels.")
        return np.arange(side // self.stride if self.wraps else more + 1) * self.stride

    def pixels(self, side: int) -> np.ndarray:
        """The pixels [K, size] of the windows on an axis of `side` pixels."""
        return (self.starts(side)[:, None] + np.arange(self.size)) % side

    def weights(self, side: int) -> np.ndarray:
        """The weights float32 [K, size], which add up to 1 at each of `side` pixels."""
        pixels, rising = self.pixels(side), np.arange(1.0, self.size + 1)
        tent = np.broadcast_to(np.minimum(rising, rising[::-1]), pixels.shape)
        return (tent / np.bincount(pixels.ravel(), tent.ravel())[pixels]).astype(np.float32)


def panorama(rows: Windows, columns: Windows) -> Guidance:
    """(1): from a denoiser of images [B, rows.size, columns.size, C] to one of images [B, H, W, C].

    All windows are one batch for the denoiser (`in_batches` limits it), with the time and the condition of their image.
    On an axis that wraps, D' commutes with circular shifts by the stride.

    Raises:
      InputError: when it denoises, if the windows do not fit H or W.
    """

    def guide(denoiser: Denoiser) -> Denoiser:
        def denoise(x: Array, t: Array, *condition: Array) -> Array:
            batch, height, width, channels = x.shape
            vertical, horizontal = rows.weights(height)[..., None], columns.weights(width)[..., None]
            cut = x[:, :, columns.pixels(width)][:, rows.pixels(height)]
            places = cut.transpose(0, 1, 3, 2, 4, 5).reshape(-1, rows.size, columns.size, channels)
            count = len(vertical) * len(horizontal)
            denoised = denoiser(places, *(jnp.repeat(array, count, axis=0) for array in (t, *condition)))
            denoised = denoised.reshape(batch, len(vertical), len(horizontal), *places.shape[1:])
            strips = _added(denoised.transpose(0, 1, 3, 2, 4, 5) * horizontal, columns, width)
            strips = strips.reshape(batch, len(vertical), rows.size, width * channels)
            return _added(strips * vertical, rows, height).reshape(x.shape)

        return denoise

    return guide


def in_batches(most: int) -> Guidance:
    """The denoiser itself, applied to at most so many images at a time, one batch after the other."""

    def guide(denoiser: Denoiser) -> Denoiser:
        def denoise(x: Array, *inputs: Array) -> Array:
            parts = -(-len(x) // most)
            if parts == 1:
                return denoiser(x, *inputs)
            size = -(-len(x) // parts)
            index = np.minimum(np.arange(parts * size), len(x) - 1).reshape(parts, size)
            denoised = jax.lax.map(lambda arrays: denoiser(*arrays), tuple(array[index] for array in (x, *inputs)))
            return denoised.reshape(-1, *x.shape[1:])[: len(x)]

        return denoise

    return guide


def _added(parts: Array, windows: Windows, side: int) -> Array:
    """Windows [..., K, size, F] at their places, added up: [..., side, F].

    Each pixel's terms are added in the order of its places in their windows, wherever it is: to the last bit, an axis
    that wraps has no beginning.
    """
    stride, (*before, count, size, features) = windows.stride, parts.shape
    blocks = -(-size // stride)
    more = 0 if windows.wraps else blocks - 1
    edges = [(0, 0)] * len(before) + [(0, more), (0, blocks * stride - size), (0, 0)]
    cut = jnp.pad(parts, edges).reshape(*before, count + more, blocks, stride, features)
    moved = [jnp.roll(cut[..., block, :, :], block, axis=-3) for block in range(blocks)]
    return reduce(jnp.add, moved).reshape(*before, (count + more) * stride, features)[..., :side, :]
