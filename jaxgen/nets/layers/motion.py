"""The motion of known frames, as a condition of a network that takes them beside its image.

How far a part of a picture moved is a product of two frames, which convolutions of both learn slowly.  So neighbouring
frames are compared at each displacement, as in FlowNet: Dosovitskiy et al. (2015), https://arxiv.org/abs/1504.06852,
equation (1), here over the whole frame and normalised:

    (1) c_t(d) = sum_x f_t(x) f_{t+1}(x + d) / (|f_t| |f_{t+1}|),     f less its mean

Nor do convolutions move a picture easily.  So a network is given what the nearest known frame f becomes when it moves
by a distribution over shifts, as in Finn, Goodfellow and Levine (2016), https://arxiv.org/abs/1605.07157.  Here it is
the posterior of the shift, given the frame with noise, y = a f(x - d) + noise of the deviation n, where a = 1 - n:

    (2) E[x_0 | x_t] = sum_d p(d) (h f(x - d) + (1 - h) y / a),     h = n^2 / (n^2 + a^2 s^2)
    (3) p(d) ~ w_1(d_1) w_2(d_2) exp(-|y - a f(x - d)|^2 / (2 n^2 + 2 a^2 s^2))

The prior w is learnt, and so is s, the deviation of frames from moved ones.  Frames that are moved ones and Gaussian
noise of this deviation have the expectation (2); a network adds what others need.  By (2) alone the prior is learnt
slowly, since noise that hides the shift hides its error too.  It is learnt by how unlikely it finds clean frames x_0:

    (4) -log sum_d w_1(d_1) w_2(d_2) exp((min_e E(e) - E(d)) / 2 s^2),     E(d) = |x_0 - f(x - d)|^2

At a small s this is the cross-entropy of the shift that fits best.
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
NEAR = 0.1
"""The s of (4), and of (2) and (3) at first: the standard deviation of frames around moved ones, in [-1, 1]."""
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
        seen = jnp.concatenate([part.reshape(known.shape[0], -1) for part in (places, peaks(fine))], axis=-1)
        return jax.nn.silu(dense(self.size)(jax.nn.silu(dense(2 * self.size)(seen)))).astype(jnp.float32)


class WithMotion(nn.Module):
    """A conditional network of clips that need not learn to move known frames, since it is given moved ones.

    It takes an image [B, H, W, T C], known frames [B, H, W, T (C + 1)] as the only maps, and the network's further
    conditions: tokens perhaps, then a vector, which the encoded motion extends.  In place of each unknown frame the
    network sees (2) of the nearest known one, with a prior that follows from the motion.  Its outputs, which are clean
    frames, as in the prediction `clean`, are added to (2), scaled by sqrt(h): in proportion to the deviation of a
    Gaussian's posterior, like c_out in EDM.  The image has been scaled by 1 / sqrt(n^2 + a^2), as that prediction does.
    """

    network: nn.Module
    encoder: MotionEncoder

    def setup(self) -> None:
        frames = self.encoder.frames
        self.shifts = nn.Dense(frames * 2 * (2 * FARTHEST + 1))
        # A deviation for each distance in frames from the nearest known one.
        self.deviations = self.param("deviations", nn.initializers.constant(np.log(NEAR)), (frames,))

    def __call__(self, image: Array, known: Array, *condition: Array, noise_level: Array, **options: Any) -> Array:
        network: Any = self.network
        tokens = [array for array in condition if jnp.issubdtype(array.dtype, jnp.integer)]
        vectors = [array for array in condition if jnp.issubdtype(array.dtype, jnp.floating)]
        motion, frames = self.encoder(known), self.encoder.frames
        clip, scale = by_frame(known, frames), jnp.hypot(noise_level, 1 - noise_level)[:, None, None, None]
        source, distance = nearest_known(clip)
        variance = jnp.exp(2 * self.deviations)[jnp.minimum(distance, frames - 1)]
        noised = by_frame(image * scale, frames)
        guess, hidden = expected_frames(source, noised, self.prior(motion), noise_level, variance)
        has_source = is_moved(distance)[:, None, None, :, None]
        guess, hidden = jnp.where(has_source, guess, 0), jnp.where(has_source, hidden, 1)
        shown = jnp.concatenate([clip[..., :-1] + guess, clip[..., -1:]], axis=-1).reshape(known.shape)
        vector = jnp.concatenate([*vectors, motion], axis=-1)
        outputs = by_frame(network(image, shown, *tokens, vector, noise_level=noise_level, **options), frames)
        return (guess + jnp.sqrt(hidden) * outputs).reshape(image.shape)

    def prior(self, motion: Array) -> Array:
        """The logarithms of w [B, T, 2, 2 FARTHEST + 1] that follow from the encoded motion [B, size]."""
        return jax.nn.log_softmax(self.shifts(motion).reshape(-1, self.encoder.frames, 2, 2 * FARTHEST + 1), axis=-1)

    def surprise(self, image: Array, known: Array, *, train: bool) -> tuple[Array, Array]:
        """(4) in nats, for clean images [B, H, W, T C] and known frames [B, H, W, T (C + 1)]; and where it is, [B, T].

        It is where a frame is unknown and another one is known; elsewhere it means nothing.
        """
        source, distance = nearest_known(by_frame(known, self.encoder.frames))
        fit, _ = fits(source, by_frame(image, self.encoder.frames))
        weighted = joint(self.prior(self.encoder(known))) + (fit - fit.max((-2, -1), keepdims=True)) / NEAR**2
        return -jax.nn.logsumexp(weighted, axis=(-2, -1)), is_moved(distance)


def nearest_known(clip: Array) -> tuple[Array, Array]:
    """The known frame nearest to each, [B, H, W, T, C], of known frames [B, H, W, T, C + 1], and how far it is.

    The distances int32 [B, T] are in frames, and T where none is known.
    """
    frames = clip.shape[3]
    distances = jnp.abs(jnp.subtract(*np.ogrid[:frames, :frames]))
    distances = jnp.where(clip[:, 0, 0, None, :, -1] > 0, distances, frames)
    nearest = distances.argmin(axis=-1)[:, None, None, :, None]
    return jnp.take_along_axis(clip[..., :-1], nearest, axis=3), distances.min(axis=-1)


def expected_frames(
    source: Array, noised: Array, prior: Array, noise_level: Array, variance: Array
) -> tuple[Array, Array]:
    """(2) and its h [B, 1, 1, T, 1], for frames [B, H, W, T, C] that are moved ones of `source`, of the same shape.

    `noised` are the y of (3) at noise levels [B], `prior` [B, T, 2, 2 FARTHEST + 1] has the logarithms of w for the
    shifts along rows and columns, and `variance` [B, T] is s^2.
    """
    kept = 1 - noise_level[:, None]
    scatter = jnp.square(noise_level[:, None]) + jnp.square(kept) * variance
    fit, across = fits(source, noised, kept[..., None, None])
    weights = jax.nn.softmax(joint(prior) + fit / scatter[..., None, None], axis=(-2, -1))
    moved = jnp.einsum("dij,bdjltc->biltc", shifts(source.shape[1]), jnp.einsum("btde,bejltc->bdjltc", weights, across))
    hidden = (jnp.square(noise_level[:, None]) / scatter)[:, None, None, :, None]
    return hidden * moved + (kept * variance / scatter)[:, None, None, :, None] * noised, hidden


def fits(source: Array, frames: Array, kept: Array | float = 1.0) -> tuple[Array, Array]:
    """-|y - a f(x - d)|^2 / 2 but for a constant, [B, T, D, D], for frames y, `source` f [B, H, W, T, C] and `kept` a.

    The second result is f moved along columns, [B, D, H, W, T, C].
    """
    # Each shift moves first along columns, then along rows: d and e number both.
    down, right = shifts(source.shape[1]), shifts(source.shape[2])
    across = jnp.einsum("elk,bjktc->bejltc", right, source)
    matches = jnp.einsum("bdjltc,bejltc->btde", jnp.einsum("dij,biltc->bdjltc", down, frames), across)
    squares = jnp.einsum("dj,bejltc->btde", down.sum(1), jnp.square(across))
    return kept * matches - kept**2 * squares / 2, across


def joint(prior: Array) -> Array:
    """The logarithms of w for each shift along rows and columns, [B, T, D, D], from those for either, [B, T, 2, D]."""
    return prior[:, :, 0, :, None] + prior[:, :, 1, None, :]


def is_moved(distance: Array) -> Array:
    """Whether a frame is unknown and another known, from the distances [B, T] of `nearest_known`."""
    return (distance > 0) & (distance < distance.shape[1])


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


def peaks(clip: Array) -> Array:
    """A softmax of (1) over displacements, [B, T - 1, (2 REACH + 1)^2], scaled to be as large as activations are."""
    return (2 * REACH + 1) * jax.nn.softmax(SHARPNESS * correlations(clip), axis=-1)


def shrunk(image: Array, side: int) -> Array:
    """Images [B, H, W, C] averaged so that the shorter side has `side` pixels; smaller ones unchanged."""
    batch, *size, channels = image.shape
    shape = [round(one * min(1, side / min(size))) for one in size]
    return jax.image.resize(image, (batch, *shape, channels), "linear")
