"""Structural similarity of image pairs, and the diversity of a set of images.

Wang et al. (2004), equation (13), with mu, sigma and sigma_xy taken in a Gaussian window of 11x11, and Wang, Simoncelli
and Bovik (2003), equation (7), over scales that are halved by averaging:

    (1) l  = (2 mu_x mu_y + c_1) / (mu_x^2 + mu_y^2 + c_1)
        cs = (2 sigma_xy + c_2) / (sigma_x^2 + sigma_y^2 + c_2),   c_i = (K_i 255)^2,   K = (0.01, 0.03)
    (2) MS-SSIM = <l_S cs_S>^{w_S} prod_{s<S} <cs_s>^{w_s},   <> the mean over windows and channels, clipped at 0

Five scales need sides of 176 pixels.  Smaller images have as many scales as leave one window; their weights are the
first of the five, normalised to sum to 1.

    (3) diversity = 1 - E MS-SSIM(x, x') over pairs of a set, after Odena et al. (2017), https://arxiv.org/abs/1610.09585
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.precision import at_precision
from jaxgen.core.types import Array
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.metric import Evaluated, Measures, Metric
from jaxgen.evaluation.network import chunk_of
from jaxgen.evaluation.order import content_order
from jaxgen.evaluation.require import require_images
from jaxgen.io.errors import InputError
from jaxgen.io.terminal import progress

WINDOW, SIGMA = 11, 1.5
CONSTANTS = (0.01 * 255) ** 2, (0.03 * 255) ** 2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def scale_weights(height: int, width: int) -> tuple[float, ...]:
    """The weights of the scales of images of this size.

    >>> len(scale_weights(28, 28)), len(scale_weights(176, 200))
    (2, 5)

    Raises:
      InputError: a side is shorter than the window.
    """
    side = min(height, width)
    if side < WINDOW:
        raise InputError(f"Images of {height} x {width}; structural similarity takes sides from {WINDOW} pixels.")
    weights = [weight for scale, weight in enumerate(WEIGHTS) if side >> scale >= WINDOW]
    return tuple(weight / sum(weights) for weight in weights)


@jax.jit
@partial(at_precision, "highest")
def structural_similarity(first: Array, second: Array) -> Array:
    """SSIM [B] of images [B, H, W, C] with values from 0 to 255: the mean of l cs, (1), at one scale.

    Raises:
      InputError: a side is shorter than the window.
    """
    scale_weights(*first.shape[1:3])
    luminance, contrast = _terms(*(image.astype(jnp.float32) for image in (first, second)))
    return (luminance * contrast).mean(axis=(1, 2, 3))


@jax.jit
@partial(at_precision, "highest")
def multi_scale_similarity(first: Array, second: Array) -> Array:
    """MS-SSIM [B] of images [B, H, W, C] with values from 0 to 255, (2)."""
    first, second = (image.astype(jnp.float32) for image in (first, second))
    weights, value = scale_weights(*first.shape[1:3]), jnp.ones(len(first))
    for scale, weight in enumerate(weights):
        luminance, contrast = _terms(first, second)
        is_last = scale == len(weights) - 1
        term = (luminance * contrast if is_last else contrast).mean(axis=(1, 2, 3))
        value *= jnp.maximum(term, 0) ** weight
        first, second = _halved(first), _halved(second)
    return value


def diversity(images: np.ndarray, *, pairs: int = 2_000, seed: int = 0) -> Estimate:
    """The diversity (3) of images uint8 [N, H, W, C], estimated from random pairs; two have no standard error.

    Raises:
      InputError: no uint8 images, fewer than two, or smaller than the window.
    """
    require_images(images)
    if len(images) < 2:
        raise InputError(f"{len(images)} images; expected at least 2.")
    scale_weights(*images.shape[1:3])
    order, rng = content_order(images), np.random.default_rng(seed)
    first = rng.integers(len(images), size=pairs)
    second = (first + rng.integers(1, len(images), size=pairs)) % len(images)
    first, second = order[first], order[second]
    size = chunk_of(images.shape[1:])

    def compare(start: int) -> np.ndarray:
        rows = slice(start, start + size)
        return jax.device_get(multi_scale_similarity(images[first[rows]], images[second[rows]]))

    alike = progress(compare, range(0, pairs, size), f"Comparing {pairs:,} pairs of images")
    different = mean_of(np.maximum(0, 1 - np.concatenate(alike)))  # rounding: 1 - 1.0000001
    return different if len(images) > 2 else Estimate(different.value)


def _terms(first: Array, second: Array) -> tuple[Array, Array]:
    """Luminance and contrast with structure [B, H, W, C], (1)."""
    mean_1, mean_2 = _blurred(first), _blurred(second)
    # Population moments; rounding can leave a variance below 0.
    variance_1, variance_2 = (
        jnp.maximum(0, _blurred(image * image) - mean * mean) for image, mean in ((first, mean_1), (second, mean_2))
    )
    covariance = _blurred(first * second) - mean_1 * mean_2
    c_1, c_2 = CONSTANTS
    luminance = (2 * mean_1 * mean_2 + c_1) / (mean_1**2 + mean_2**2 + c_1)
    return luminance, (2 * covariance + c_2) / (variance_1 + variance_2 + c_2)


def _blurred(image: Array) -> Array:
    """Means in Gaussian windows that lie inside the image."""
    offsets = jnp.arange(WINDOW) - WINDOW // 2
    window = jnp.exp(-jnp.square(offsets / SIGMA) / 2)
    window /= window.sum()
    for axis in (1, 2):
        size = image.shape[axis] - WINDOW + 1
        views = [jax.lax.slice_in_dim(image, at, at + size, axis=axis) for at in range(WINDOW)]
        image = jnp.tensordot(window, jnp.stack(views), axes=1)
    return image


def _halved(image: Array) -> Array:
    batch, height, width, channels = image.shape
    image = image[:, : height // 2 * 2, : width // 2 * 2]
    return image.reshape(batch, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


def _measure(evaluated: Evaluated) -> Measures:
    sets = evaluated.images, evaluated.reference.images
    drawn, real = (diversity(images, seed=evaluated.seed) for images in sets)
    return {"diversity": drawn, "diversity of real": real}


def _too_small(evaluated: Evaluated) -> str | None:
    is_small = min(evaluated.images.shape[1:3]) < WINDOW
    return f"the images are smaller than {WINDOW}x{WINDOW}" if is_small else None


DIVERSITY = Metric(
    name="diversity",
    meanings={"diversity": "1 - MS-SSIM of pairs of drawn", "diversity of real": "1 - MS-SSIM of pairs of real"},
    compute=_measure,
    objection=_too_small,
)
