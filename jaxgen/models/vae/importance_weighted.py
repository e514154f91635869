"""The importance-weighted bound.  Burda et al. (2016), https://arxiv.org/abs/1509.00519.

With k latents z_i from q(z | x) and w_i = p(x | z_i) p(z_i) / q(z_i | x),

    (1) bound        E[log 1/k sum_i w_i]
    (2) gradient     sum_i v_i grad log w_i,    v_i = w_i / sum_j w_j the normalised weights

(2) is an expectation over i drawn with probability v_i.  So all k samples may go forward and only m of them, drawn by
weight, backward (end of section 3).  Systematic resampling draws them at equally spaced points of the cumulative
weights from a random start, which keeps the expectation and has less variance than m independent draws: Douc et al.
(2005), https://arxiv.org/abs/cs/0507025.
"""

import jax
import jax.numpy as jnp

from jaxgen.core.batch import draw_batch
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.models.vae.model import LatentModel, bound_metrics, require_samples

stop = jax.lax.stop_gradient


def importance_weighted_loss(model: LatentModel, *, samples: int, backward: int | None = None) -> Loss:
    """The negative of (1), averaged over the batch; its gradient goes through `backward` of the `samples` latents.

    With fewer than all, the gradient is unbiased for networks without dropout and batch normalisation.

    Raises:
      ValueError: no samples, or `backward` is not from 1 to `samples`.
    """
    require_samples(samples)
    if backward is None:
        return _through_all(model, samples)
    if not 1 <= backward <= samples:
        raise ValueError(f"backward={backward} was given; expected from 1 to samples={samples}.")

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        every = model.infer(stop(networks), context, samples)
        weights = jax.nn.softmax(every.log_weights, axis=0)
        key = jax.random.fold_in(context.key, samples)
        chosen = model.infer(networks, context, samples, keep=systematic(key, weights, backward))
        surrogate = -chosen.log_weights.mean()
        value = surrogate + stop(-jax.nn.logmeanexp(every.log_weights, axis=0).mean() - surrogate)
        return value, Aux(bound_metrics(every.log_likelihood, every.log_ratio), chosen.changes)

    return loss


def _through_all(model: LatentModel, samples: int) -> Loss:
    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        inferred = model.infer(networks, context, samples)
        metrics = bound_metrics(inferred.log_likelihood, inferred.log_ratio)
        return -jax.nn.logmeanexp(inferred.log_weights, axis=0).mean(), Aux(metrics, inferred.changes)

    return loss


def systematic(key: Array, weights: Array, count: int) -> Array:
    """Systematic resampling: `count` indices [count, B] of k, index i in expectation count * weights[i] times."""
    start = draw_batch(jax.random.uniform, key, weights.shape[1:])
    points = (jnp.arange(count)[:, None] + start) / count
    below = jnp.cumsum(weights, axis=0)[None] <= points[:, None]
    return jnp.minimum(below.sum(1), len(weights) - 1)
