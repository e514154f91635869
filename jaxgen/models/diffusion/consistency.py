"""Consistency models by easy consistency tuning: a diffusion model that learns to draw in one step.

Geng et al. (2024), https://arxiv.org/abs/2406.14548.  The consistency function f takes any x_t to the image in which
its probability flow ends.  Diffusion models are those of r = 0 in

    (1) loss = w(t) d(f(x_t, t), f(x_r, r)),    f(x_0, 0) = x_0,    r <= t

with x_t and x_r of the same image and noise, and no gradient through f(x_r, r).  As training goes on, r approaches t: a
`NoiseMapping` says which r.  Noise levels are sigma / alpha, which is t in the paper, so that any schedule will do.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import conditioning
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Variables
from jaxgen.models.diffusion.grid import Grid
from jaxgen.models.diffusion.loss import errors_by_noise, stratified
from jaxgen.models.diffusion.model import Diffusion, clean_data
from jaxgen.models.diffusion.prediction import expected_image, per_image
from jaxgen.models.diffusion.schedule import Schedule
from jaxgen.models.diffusion.solver import Interval, Process, Solver
from jaxgen.models.diffusion.stochastic import draw_noise
from jaxgen.models.diffusion.weight import Weight, karras_weight

HUBER = 0.00054

NoiseMapping = Callable[[Array, Array], Array]
"""The step [] and noise levels of t [B] to those of r [B], p(r | t) of the paper."""


def consistency_tuning_loss(model: Diffusion, mapping: NoiseMapping, weight: Weight | None = None) -> Loss:
    """The loss (1) at stratified times, averaged over the batch; the default weight is `karras_weight()`.

    The distance d of an image is sqrt(|.|^2 + c^2) - c with c = 0.00054 sqrt(H W C): Song and Dhariwal (2023),
    https://arxiv.org/abs/2310.14189, the Pseudo-Huber metric.  Both evaluations have the same dropout.

    The metrics `mse_noise_25`, ... are the mean square differences of (1) where noise is up to 25%, ... of the sum of
    alpha and sigma.
    """
    size = math.prod(model.spec)
    weight, c = weight or karras_weight(), HUBER * math.sqrt(size)

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        image = clean_data(context.batch)
        t = model.schedule.times(draw_batch(stratified, stream(context, "times").key, image.shape[:1]))
        noise = draw_batch(jax.random.normal, stream(context, "noise").key, image.shape)
        r = model.schedule.time(mapping(context.step, model.schedule.ratio(t)))
        condition = conditioning(model.conditions, context.batch)

        def consistent(time: Array) -> tuple[Array, Variables]:
            alpha, sigma = (per_image(c) for c in model.schedule.coefficients(time))
            x = alpha * image + sigma * noise
            return consistency_function(model, networks, x, time, *condition, train=True, key=context.key)

        (student, changes), teacher = consistent(t), jax.lax.stop_gradient(consistent(r)[0])
        errors = jnp.square(student - teacher).mean((1, 2, 3))
        distances = jnp.sqrt(size * errors + c**2) - c
        metrics = errors_by_noise(model.schedule, t, errors)
        return (weight(model.schedule, t) * distances).mean(), Aux(metrics, {model.name: changes})

    return loss


def consistency_function(
    model: Diffusion,
    networks: Networks,
    x: Array,
    t: Array,
    *condition: Array,
    train: bool = False,
    key: Array | None = None,
) -> tuple[Array, Variables]:
    """The images f(x_t, t) [B, H, W, C], which are x_t itself where there is no noise, and the mutated collections."""
    scaling = model.prediction(model.schedule, t)
    output, changes = model.predict(networks, x, scaling, *condition, train=train, key=key)
    is_image = model.schedule.coefficients(t)[1] == 0
    return jnp.where(per_image(is_image), x, expected_image(scaling, x, output)), changes


def sigmoid_mapping(doubling: int, *, q: float = 2.0, k: float = 8.0, b: float = 1.0) -> NoiseMapping:
    """The paper's mapping function, r / t = max(0, 1 - n(t) / q^a) with n(t) = 1 + k sigmoid(-b t).

    The stage a begins at 1 and grows by one every `doubling` steps, so that the steps from r to t shrink by q.

    Raises:
      ValueError: fewer than one step a stage, or `q` is not above 1.
    """
    if doubling < 1 or not 1 < q < math.inf:
        raise ValueError(f"sigmoid_mapping was given {doubling} steps and q {q}; expected at least 1 and above 1.")

    def mapping(step: Array, ratio: Array) -> Array:
        shrunk = jnp.float32(q) ** -(1 + step // doubling)
        return ratio * jnp.maximum(1 - shrunk * (1 + k * jax.nn.sigmoid(-b * ratio)), 0)

    return mapping


def _renoise_step(process: Process, x: Array, memory: None, interval: Interval) -> tuple[Array, None]:
    t, s, keys = interval
    alpha, sigma = process.schedule.coefficients(s)
    return alpha * process.denoise(x, t) + sigma * draw_noise(keys, x), memory


multistep_consistency = Solver(lambda _: None, _renoise_step, is_deterministic=False)
"""Draws with a consistency model: an image from noise, new noise, an image again, and so on.

Song et al. (2023), https://arxiv.org/abs/2303.01469, algorithm 1."""


def noise_levels(*ratios: float) -> Grid:
    """Pure noise, then these levels of sigma / alpha, then the image; with none it is a single step.

    Raises:
      ValueError: the levels do not fall, or one is not positive.
    """
    if not all(0 < level < math.inf for level in ratios) or list(ratios) != sorted(set(ratios), reverse=True):
        raise ValueError(f"noise_levels was given {ratios}; expected positive levels that fall.")

    def grid(schedule: Schedule) -> Array:
        between = schedule.time(jnp.array(ratios, jnp.float32))
        return jnp.concatenate([jnp.array([schedule.end]), between, jnp.zeros(1)])

    return grid
