"""The denoising loss: one for all schedules and predictions."""

import jax
import jax.numpy as jnp

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import conditioning
from jaxgen.core.metrics import Mean
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.models.diffusion.model import Diffusion, clean_data
from jaxgen.models.diffusion.prediction import per_image, target
from jaxgen.models.diffusion.schedule import Schedule
from jaxgen.models.diffusion.weight import Weight

LEVELS = 4
TAIL = 1e-7
"""Probabilities stay this far from 0 and 1, where quantiles may be infinite."""


def denoising_loss(model: Diffusion, weight: Weight | None = None) -> Loss:
    """The mean square error over pixels, averaged over the batch at stratified times.

    It is that of the network's output F against its target, (2) of `prediction`: for `velocity` flow matching, Lipman
    et al. (2023), https://arxiv.org/abs/2210.02747, equation (9); for `karras` EDM's loss.  With a `weight` it is that
    of E[x_0 | x_t] times the weight.

    The metrics `mse_noise_25`, ... are the unweighted errors of E[x_0 | x_t] where noise is up to 25%, ... of the sum
    of alpha and sigma.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        image = clean_data(context.batch)
        t = model.schedule.times(draw_batch(stratified, stream(context, "times").key, image.shape[:1]))
        noise = draw_batch(jax.random.normal, stream(context, "noise").key, image.shape)
        alpha, sigma = (per_image(c) for c in model.schedule.coefficients(t))
        noised = alpha * image + sigma * noise
        scaling = model.prediction(model.schedule, t)
        condition = conditioning(model.conditions, context.batch)
        output, changes = model.predict(networks, noised, scaling, *condition, train=True, key=context.key)
        errors = jnp.square(output - target(scaling, image, noised)).mean((1, 2, 3))
        scale = jnp.square(scaling.c_out)
        weights = jnp.ones_like(t) if weight is None else weight(model.schedule, t) * scale
        metrics = errors_by_noise(model.schedule, t, scale * errors)
        return (weights * errors).mean(), Aux(metrics, {model.name: changes})

    return loss


def stratified(key: Array, shape: tuple[int, ...]) -> Array:
    """Probabilities [B] in (0, 1), one uniform in each of B equal intervals, in order.

    Times that cover their range in every batch reduce the variance of the loss: Kingma et al. (2021),
    https://arxiv.org/abs/2107.00630, appendix I.1.
    """
    (count,) = shape
    return jnp.clip((jnp.arange(count) + jax.random.uniform(key, shape)) / count, TAIL, 1 - TAIL)


def errors_by_noise(schedule: Schedule, t: Array, errors: Array) -> dict[str, Mean]:
    """The mean of errors [B] at each of four levels of noise."""
    alpha, sigma = schedule.coefficients(t)
    level = jnp.clip(jnp.floor(LEVELS * sigma / (alpha + sigma)), 0, LEVELS - 1)
    metrics = {}
    for number in range(LEVELS):
        inside = (level == number).astype(jnp.float32)
        metrics[f"mse_noise_{100 * (number + 1) // LEVELS}"] = Mean((inside * errors).sum(), inside.sum())
    return metrics
