"""The motion of the known frames around an image, as a condition of a network that takes them beside it.

Displacement is a product of two frames, which convolutions of both learn slowly.  So neighbouring frames are compared
at each displacement, as in FlowNet: Dosovitskiy et al. (2015), https://arxiv.org/abs/1504.06852, equation (1), here
over the whole frame and normalised:

    (1) c_t(d) = sum_x f_t(x) f_{t+1}(x + d) / (|f_t| |f_{t+1}|),     f less its mean

The known frames directly before and after the image are neighbours here, too, with twice the displacement.

Convolutions also shift images poorly.  So the network is given the nearest known frame f, averaged over shifts d, as in
Finn, Goodfellow and Levine (2016), https://arxiv.org/abs/1605.07157.  The average is over the posterior of the shift,
by the model x_0 = f(x - d) + s e, y = a x_0 + n e', with e and e' of N(0, I), a = 1 - n, and a prior w of the shift:

    (2) E[x_0 | y] = sum_d p(d) (h f(x - d) + (1 - h) y / a),     h = n^2 / (n^2 + a^2 s^2)
    (3) p(d) = w_1(d_1) w_2(d_2) exp(-|y - a f(x - d)|^2 / (2 (n^2 + a^2 s^2))),     normalised over d

The network learns w and s, and corrects (2) where the model is wrong.  The denoising loss alone trains w slowly: where
noise hides the shift, the error depends little on it.  So w is also trained by its negative log-likelihood for clean
frames, less that of the best shift:

    (4) -log sum_d w_1(d_1) w_2(d_2) exp((min_e E(e) - E(d)) / (2 s_0^2)),     E(d) = |x_0 - f(x - d)|^2

For a small s_0 this is the cross-entropy of the shift that fits best; a frame that moved further than all shifts
teaches the nearest of them.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.condition import frame_offsets
from jaxgen.core.precision import at_precision
from jaxgen.core.types import Array

FINE = 32
"""The shorter side to which frames are averaged for the encoder."""
REACH = 2
"""Displacements (1) are of up to so many of the finer pixels, along each axis."""
FARTHEST = 8
"""The shifts of (2) are up to so many pixels along each axis."""
FAINT = 1e-3
"""Added to denominators: frames of one colour, but for rounding, have no motion, and black ones no brightness."""
DEVIATION = 0.1
"""The s_0 of (4), and the s of (2) and (3) at first, in [-1, 1]."""
SHARPNESS = 32.0
"""(1) passes through a softmax over displacements, of this inverse temperature."""
SHARE_SCALE = 5.0
"""Multiplies shares of brightness, which are small, since a frame has many rows and columns."""


class MotionEncoder(nn.Module):
    """Known frames float32 [B, H, W, S (C + 1)], as `known_frames` encodes them, to a vector float32 [B, size].

    It reads (1), and which shares of a frame's brightness are in each row and each column.
    """

    frames: int
    """T: the S = 2 (T - 1) frames are those at distances up to T - 1, before and after the image."""
    size: int = 128
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, known: Array) -> Array:
        dense, fine = partial(nn.Dense, dtype=self.dtype), by_frame(shrunk(known, FINE), self.frames)
        parts = displacements(fine), *shares(fine)
        seen = jnp.concatenate([part.reshape(known.shape[0], -1) for part in parts], axis=-1)
        return jax.nn.silu(dense(self.size)(jax.nn.silu(dense(2 * self.size)(seen)))).astype(jnp.float32)


class WithMotion(nn.Module):
    """A network of frames that need not learn to move known ones, since it is given the nearest one moved.

    It takes an image [B, H, W, C], the known frames around it [B, H, W, S (C + 1)] as the only maps, and the network's
    further conditions: tokens perhaps, then a vector, which the encoded motion extends.  The network sees (2) as one
    more map.  The output is (2) + sqrt(h) F, a clean image as in the prediction `clean`, where F is the network's
    output; the factor is proportional to the posterior's standard deviation, like c_out in EDM.  If no frame is known,
    it is F.  The image and the noise level are those of `clean`: x_t / sqrt(n^2 + a^2), n.
    """

    network: nn.Module
    encoder: MotionEncoder

    def setup(self) -> None:
        self.shift_logits = nn.Dense(2 * (2 * FARTHEST + 1))
        # A deviation for each distance in frames from the nearest known one.
        constant = nn.initializers.constant(np.log(DEVIATION))
        self.log_deviations = self.param("log_deviations", constant, (self.encoder.frames - 1,))

    def __call__(self, image: Array, known: Array, *condition: Array, noise_level: Array, **options: Any) -> Array:
        network: Any = self.network
        tokens = [array for array in condition if jnp.issubdtype(array.dtype, jnp.integer)]
        vectors = [array for array in condition if jnp.issubdtype(array.dtype, jnp.floating)]
        motion, noised = self.encoder(known), image * jnp.hypot(noise_level, 1 - noise_level)[:, None, None, None]
        source, distance = self.nearest(image, known)
        variance = jnp.exp(2 * self.log_deviations)[distance - 1]
        guess, root = expected_frame(source, noised, self.prior(motion), noise_level, variance)
        is_guessed = (distance > 0)[:, None, None, None]
        guess, root = jnp.where(is_guessed, guess, 0), jnp.where(is_guessed, root, 1)
        vector = jnp.concatenate([*vectors, motion], axis=-1)
        maps = jnp.concatenate([known, guess], axis=-1)
        return guess + root * network(image, maps, *tokens, vector, noise_level=noise_level, **options)

    def prior(self, motion: Array) -> Array:
        """The logarithms of w, [B, 2, 2 FARTHEST + 1], that follow from the encoded motion [B, size]."""
        return jax.nn.log_softmax(self.shift_logits(motion).reshape(-1, 2, 2 * FARTHEST + 1), axis=-1)

    def nearest(self, image: Array, known: Array) -> tuple[Array, Array]:
        """As `nearest_known`, of known frames that are as many as the encoder's and have the channels of the image.

        Raises:
          ValueError: they have not.
        """
        expected = len(frame_offsets(self.encoder.frames)) * (image.shape[-1] + 1)
        if known.shape[-1] != expected:
            raise ValueError(
                f"MotionEncoder({self.encoder.frames}) was given known frames of {known.shape[-1]} channels; "
                f"expected {expected}."
            )
        return nearest_known(known, self.encoder.frames)

    def shift_nll(self, image: Array, known: Array, *, train: bool) -> tuple[Array, Array]:
        """(4) in nats, [B], of clean images [B, H, W, C] with known frames around them, [B, H, W, S (C + 1)].

        The second result, bool [B], says for which images it is defined: those with a known frame.
        """
        source, distance = self.nearest(image, known)
        fit, _ = log_fits(source, image)
        weighted = joint(self.prior(self.encoder(known))) + (fit - fit.max((1, 2), keepdims=True)) / DEVIATION**2
        return -jax.nn.logsumexp(weighted, axis=(1, 2)), distance > 0


def nearest_known(known: Array, frames: int) -> tuple[Array, Array]:
    """The nearest frame [B, H, W, C] of known ones [B, H, W, S (C + 1)], or the earlier one of two.

    The second result is its distance int32 [B], 0 if none is known.
    """
    clip, distances = by_frame(known, frames), np.abs(frame_offsets(frames))
    is_known = clip[:, 0, 0, :, -1] > 0
    nearest = jnp.where(is_known, distances, frames).argmin(axis=-1)
    source = jnp.take_along_axis(clip[..., :-1], nearest[:, None, None, None, None], axis=3)[:, :, :, 0]
    return source, jnp.where(is_known.any(axis=-1), jnp.asarray(distances)[nearest], 0)


def expected_frame(
    source: Array, noised: Array, prior: Array, noise_level: Array, variance: Array
) -> tuple[Array, Array]:
    """(2), [B, H, W, C], and sqrt(h), [B, 1, 1, 1], where f is `source`, of the same shape.

    `noised` are y at noise levels [B], `prior` [B, 2, 2 FARTHEST + 1] has the logarithms of w for vertical and
    horizontal shifts, and `variance` [B] is s^2.
    """
    kept = 1 - noise_level
    scatter = jnp.square(noise_level) + jnp.square(kept) * variance
    fit, across = log_fits(source, noised, kept[:, None, None])
    weights = jax.nn.softmax(joint(prior) + fit / scatter[:, None, None], axis=(1, 2))
    moved = jnp.einsum(
        "dij,bdjlc->bilc", shift_matrices(source.shape[1]), jnp.einsum("bde,bejlc->bdjlc", weights, across)
    )
    root, rest = noise_level / jnp.sqrt(scatter), kept * variance / scatter
    root, rest = root[:, None, None, None], rest[:, None, None, None]
    return root**2 * moved + rest * noised, root


@partial(at_precision, "highest")  # large sums are differences in an exponent
def log_fits(source: Array, frame: Array, kept: Array | float = 1.0) -> tuple[Array, Array]:
    """Log N(y; a f(x - d), I) but for a constant, [B, D, D], for all D x D shifts, D = 2 FARTHEST + 1.

    `frame` is y, `source` f, both [B, H, W, C], and `kept` a.  The second result is f moved horizontally,
    [B, D, H, W, C].
    """
    # Each shift moves first horizontally, then vertically: e and d number them.
    down, right = shift_matrices(source.shape[1]), shift_matrices(source.shape[2])
    across = jnp.einsum("elk,bjkc->bejlc", right, source)
    matches = jnp.einsum("bdjlc,bejlc->bde", jnp.einsum("dij,bilc->bdjlc", down, frame), across)
    squares = jnp.einsum("dj,bejlc->bde", down.sum(1), jnp.square(across))
    return kept * matches - kept**2 * squares / 2, across


def joint(prior: Array) -> Array:
    """The logarithms of w_1(d_1) w_2(d_2), [B, D, D], from those of w_1 and w_2, [B, 2, D]."""
    return prior[:, 0, :, None] + prior[:, 1, None, :]


def shift_matrices(side: int) -> np.ndarray:
    """The shifts of a line of pixels by -FARTHEST to FARTHEST, as matrices [2 FARTHEST + 1, side, side].

    Edges are repeated.
    """
    places, steps = np.arange(side), np.arange(-FARTHEST, FARTHEST + 1)
    return np.stack([np.eye(side, dtype=np.float32)[np.clip(places - step, 0, side - 1)] for step in steps])


def by_frame(known: Array, frames: int) -> Array:
    """Known frames [B, H, W, S (C + 1)] of clips of T `frames` as [B, H, W, S, C + 1]."""
    return known.reshape(*known.shape[:3], len(frame_offsets(frames)), -1)


def correlations(clip: Array) -> Array:
    """(1) of known frames [B, H, W, S, C + 1]: [B, S - 1, (2 REACH + 1)^2], 0 next to an unknown frame."""
    height, width = clip.shape[1:3]
    frames, is_known = clip[..., :-1], clip[..., -1:]
    centred = (frames - frames.mean((1, 2), keepdims=True)) * is_known
    norm = jnp.sqrt(jnp.square(centred).sum((1, 2, 4)))
    now, later = centred[:, :, :, :-1], jnp.pad(centred[:, :, :, 1:], [(0, 0), *2 * [(REACH, REACH)], (0, 0), (0, 0)])
    steps = range(2 * REACH + 1)
    windows = [later[:, row : row + height, column : column + width] for row in steps for column in steps]
    products = [(now * window).sum((1, 2, 4)) for window in windows]
    return jnp.stack(products, axis=-1) / (norm[:, :-1] * norm[:, 1:] + FAINT)[..., None]


def displacements(clip: Array) -> Array:
    """A softmax of (1), [B, S - 1, (2 REACH + 1)^2], scaled to be as large as activations are."""
    return (2 * REACH + 1) * jax.nn.softmax(SHARPNESS * correlations(clip), axis=-1)


def shares(clip: Array) -> tuple[Array, Array]:
    """The shares of brightness in columns, [B, W, S, C], and rows, [B, H, S, C], of known frames [B, H, W, S, C + 1].

    They are multiplied by SHARE_SCALE, and zeros for unknown frames.
    """
    brightness = (1 + clip[..., :-1]) * clip[..., -1:]
    share = SHARE_SCALE * brightness / (brightness.sum((1, 2), keepdims=True) + FAINT)
    return share.sum(1), share.sum(2)


def shrunk(image: Array, side: int) -> Array:
    """Images [B, H, W, C] averaged so that the shorter side has `side` pixels; smaller ones unchanged."""
    batch, *size, channels = image.shape
    shape = [round(one * min(1, side / min(size))) for one in size]
    return jax.image.resize(image, (batch, *shape, channels), "linear")
