"""Negative log-likelihood of a latent-variable model by importance sampling.

    (1) -log p(x) = -log E_q(z|x)[w] <= -E[log 1/k sum_i w_i],   w = p(x, z) / q(z | x)

Burda et al. (2016), https://arxiv.org/abs/1509.00519: an upper bound in expectation, which tightens as k grows.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.precision import at_precision
from jaxgen.core.types import Array
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.order import content_order
from jaxgen.io.errors import InputError
from jaxgen.io.terminal import progress

LogWeights = Callable[[Array, Array, int], Array]
"""Images uint8 [B, H, W, C], a key and k to log w [k, B]."""


def negative_log_likelihood(
    log_weights: LogWeights,
    images: np.ndarray,
    *,
    samples: int = 5_000,
    seed: int = 0,
    batch: int = 100,
    chunk: int = 100,
) -> Estimate:
    """The mean of (1) over images uint8 [N, H, W, C] with k = `samples`, in nats, and its standard error.

    The error is that of a mean over N images, and includes the chance in sampling.  At most `batch` images and `chunk`
    samples are in memory at a time.

    Raises:
      InputError: there are no images, or no samples.
    """
    return mean_of(negative_log_likelihoods(log_weights, images, samples=samples, seed=seed, batch=batch, chunk=chunk))


def negative_log_likelihoods(
    log_weights: LogWeights, images: np.ndarray, *, samples: int, seed: int = 0, batch: int = 100, chunk: int = 100
) -> np.ndarray:
    """The values (1) for images uint8 [N, H, W, C], float [N], in nats; of fewer, random ones, where Ctrl-C ends it.

    Raises:
      InputError: there are no images, or no samples.
    """
    if samples < 1 or not len(images):
        raise InputError(f"A likelihood of {len(images)} images by {samples} samples; expected at least 1 of each.")
    batch, chunks = min(batch, len(images)), math.ceil(samples / chunk)
    chunk = math.ceil(samples / chunks)

    @jax.jit
    @partial(at_precision, "highest")
    def estimate(images: Array, key: Array) -> Array:
        def more(number: Array, total: Array) -> Array:
            weights = log_weights(images, jax.random.fold_in(key, number), chunk)
            is_one = number * chunk + jnp.arange(chunk) < samples
            weights = jnp.where(is_one[:, None], weights, -jnp.inf)
            return jnp.logaddexp(total, jax.nn.logsumexp(weights, axis=0))

        nothing = jnp.full(len(images), -jnp.inf)
        return math.log(samples) - jax.lax.fori_loop(0, chunks, more, nothing)

    order = content_order(images)

    def estimate_part(start: int) -> np.ndarray:
        part = images[order[start : start + batch]]
        filled = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        return np.asarray(estimate(filled, jax.random.fold_in(jax.random.key(seed), start)))[: len(part)]

    starts = range(0, len(images), batch)
    values = np.concatenate(progress(estimate_part, starts, "Estimating the likelihood", may_stop=True))
    return values[np.argsort(order[: len(values)])]
