"""The motion of known frames, as a condition of a network that takes them beside its image.

How far a part of a picture moved is a product of two frames, which convolutions of both learn slowly.  So neighbouring
frames are compared at each displacement, as in FlowNet: Dosovitskiy et al. (2015), https://arxiv.org/abs/1504.06852,
equation (1), here over the whole frame and normalised:

    (1) c_t(d) = sum_x f_t(x) f_{t+1}(x + d) / (|f_t| |f_{t+1}|),     f less its mean

Nor do convolutions move a picture easily.  So a network is given what the nearest known frame becomes when it moves by
a distribution over shifts, learnt with it, as in Finn, Goodfellow and Levine (2016), https://arxiv.org/abs/1605.07157:

    (2) sum_d w(d) f(x - d),     w(d) = w_1(d_1) w_2(d_2)
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.types import Array
from jaxgen.nets.layers.conv import Conv

FINE, COARSE = 32, 8
"""The shorter sides to which frames are averaged, for (1) and for what is where."""
REACH = 2
"""Displacements (1) are of up to so many of the finer pixels, along each axis."""
FARTHEST = 8
"""The shifts of (2) are up to so many pixels along each axis."""
FAINT = 1e-3
"""Added to the denominator of (1): frames of one colour, but for rounding, have no motion."""
NEAR = 1.0
"""The standard deviation of frames around (2), in [-1, 1]."""
SHARPNESS = 8.0
"""(1) passes through a softmax over displacements, of this inverse temperature."""


class MotionEncoder(nn.Module):
    """Known frames float32 [B, H, W, T (C + 1)], as `known_frames` encodes them, to a vector float32 [B, size].

    It reads (1) and what is where; unknown frames have no motion and are zeros.
    """

    frames: int
    size: int = 128
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, known: Array) -> Array:
        conv, dense = partial(Conv, 32, (3, 3), dtype=self.dtype), partial(nn.Dense, dtype=self.dtype)
        places = jax.nn.silu(conv(strides=(2, 2))(jax.nn.silu(conv()(shrunk(known, COARSE)))))
        fine = by_frame(shrunk(known, FINE), self.frames)
        motion = jax.nn.softmax(SHARPNESS * correlations(fine), axis=-1)
        motion *= 2 * REACH + 1  # so that a clear motion is as large a number as other activations
        seen = jnp.concatenate([part.reshape(known.shape[0], -1) for part in (places, motion)], axis=-1)
        return jax.nn.silu(dense(self.size)(jax.nn.silu(dense(2 * self.size)(seen)))).astype(jnp.float32)


class WithMotion(nn.Module):
    """A conditional network of clips that need not learn to move known frames, since it is given moved ones.

    It takes an image [B, H, W, T C], known frames [B, H, W, T (C + 1)] as the only maps, and the network's further
    conditions: tokens perhaps, then a vector, which the encoded motion extends.  In place of each unknown frame the
    network sees a guess, (2) of the nearest known one, with weights that follow from the motion.  Its outputs, which
    are clean frames, as in the prediction `clean`, are added to the guess.  The guess counts as much as noise hides the
    frame: n^2 / (n^2 + s^2 (1 - n)^2) at a noise level n, as for a Gaussian around it with the standard deviation s.
    """

    network: nn.Module
    encoder: MotionEncoder

    @nn.compact
    def __call__(self, image: Array, known: Array, *condition: Array, noise_level: Array, **options: Any) -> Array:
        network: Any = self.network
        tokens = [array for array in condition if jnp.issubdtype(array.dtype, jnp.integer)]
        vectors = [array for array in condition if jnp.issubdtype(array.dtype, jnp.floating)]
        motion, frames = self.encoder(known), self.encoder.frames
        weights = nn.Dense(frames * 2 * (2 * FARTHEST + 1), name="shifts")(motion)
        weights = jax.nn.softmax(weights.reshape(-1, frames, 2, 2 * FARTHEST + 1), axis=-1)
        clip = by_frame(known, frames)
        hidden = jnp.square(noise_level) / (jnp.square(noise_level) + jnp.square(NEAR * (1 - noise_level)))
        guess = hidden[:, None, None, None, None] * moved_frames(clip, weights)
        shown = jnp.concatenate([clip[..., :-1] + guess, clip[..., -1:]], axis=-1).reshape(known.shape)
        vector = jnp.concatenate([*vectors, motion], axis=-1)
        return network(image, shown, *tokens, vector, noise_level=noise_level, **options) + guess.reshape(image.shape)


def moved_frames(clip: Array, weights: Array) -> Array:
    """(2) of the nearest known frame for each unknown one, [B, H, W, T, C], of known frames [B, H, W, T, C + 1].

    `weights` [B, T, 2, 2 FARTHEST + 1] are those of the shifts along rows and columns.  It is zero for known frames,
    and where none is known.
    """
    height, width, frames = clip.shape[1:4]
    is_known = clip[:, 0, 0, :, -1] > 0
    distance = jnp.abs(jnp.subtract(*np.ogrid[:frames, :frames]))
    nearest = jnp.where(is_known[:, None], distance, 2 * frames).argmin(axis=-1)
    source = jnp.take_along_axis(clip[..., :-1], nearest[:, None, None, :, None], axis=3)
    rows, columns = (
        jnp.einsum("btd,dij->btij", weights[:, :, axis], shifts(side)) for axis, side in enumerate((height, width))
    )
    moved = jnp.einsum("btij,bjktc,btlk->biltc", rows, source, columns)
    return jnp.where(is_known[:, None, None, :, None], 0, moved)


def shifts(side: int) -> np.ndarray:
    """The shifts of a line of pixels by -FARTHEST to FARTHEST, as matrices [2 FARTHEST + 1, side, side].

    Edges are repeated.
    """
    places, steps = np.arange(side), np.arange(-FARTHEST, FARTHEST + 1)
    return np.stack([np.eye(side, dtype=np.float32)[np.clip(places - step, 0, side - 1)] for step in steps])


def by_frame(known: Array, frames: int) -> Array:
    """Known frames [B, H, W, T (C + 1)] as [B, H, W, T, C + 1]."""
    return known.reshape(*known.shape[:3], frames, known.shape[3] // frames)


def correlations(clip: Array) -> Array:
    """(1) of known frames [B, H, W, T, C + 1]: [B, T - 1, (2 REACH + 1)^2], 0 next to an unknown frame."""
    height, width = clip.shape[1:3]
    frames, is_known = clip[..., :-1], clip[..., -1:]
    centred = (frames - frames.mean((1, 2), keepdims=True)) * is_known
    norm = jnp.sqrt(jnp.square(centred).sum((1, 2, 4)))
    now, later = centred[:, :, :, :-1], jnp.pad(centred[:, :, :, 1:], [(0, 0), *2 * [(REACH, REACH)], (0, 0), (0, 0)])
    steps = range(2 * REACH + 1)
    windows = [later[:, row : row + height, column : column + width] for row in steps for column in steps]
    products = [(now * window).sum((1, 2, 4)) for window in windows]
    return jnp.stack(products, axis=-1) / (norm[:, :-1] * norm[:, 1:] + FAINT)[..., None]


def shrunk(image: Array, side: int) -> Array:
    """Images [B, H, W, C] averaged so that the shorter side has `side` pixels; smaller ones unchanged."""
    batch, *size, channels = image.shape
    shape = [round(one * min(1, side / min(size))) for one in size]
    return jax.image.resize(image, (batch, *shape, channels), "linear")
