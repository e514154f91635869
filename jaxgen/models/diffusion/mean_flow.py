"""MeanFlow: images in one step, by the average velocity of the probability flow between two times.

Geng et al. (2025), https://arxiv.org/abs/2505.13447.  On the paths z_t = (1 - t) x_0 + t eps of the linear schedule,
with v = dz_t / dt and times r <= t,

    (1) u(z_t, r, t) = int_r^t v(z_s, s) ds / (t - r) = (z_t - z_r) / (t - r),    u(z_t, t, t) = v     equation (3)
    (2) u = v - (t - r) du/dt,    du/dt = (v, 0, 1) . (d/dz, d/dr, d/dt) u     equations (6) and (8)
    (3) z_r = z_t - (t - r) u(z_t, r, t)                                  equation (12)

The network of a `Diffusion` takes the `interval` t - r [B] besides the noise level, and means v by its prediction where
the interval is 0.  So every solver, guidance and restoration draws with such a network too, by v alone.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import Fields, conditioning
from jaxgen.core.metrics import Mean
from jaxgen.core.objective import stream
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Context, Loss, Networks, Variables
from jaxgen.models.diffusion.loss import TAIL, stratified
from jaxgen.models.diffusion.model import Diffusion, clean_data
from jaxgen.models.diffusion.prediction import per_image
from jaxgen.models.diffusion.schedule import Schedule

LEAST_ERROR = 1e-3
"""The constant c of the adaptive weight."""

Average = Callable[[Array, Array, Array], tuple[Array, Variables]]
"""Images z_t [B, H, W, C], times t and intervals t - r [B] to u of (1) and a network's mutated collections."""


def mean_flow_loss(
    model: Diffusion, *, share: float = 0.25, power: float = 1.0, guidance: float = 1.0, mixing: float = 0.0
) -> Loss:
    """The mean square error of (2) over pixels, equation (9), averaged over the batch.

    A `share` of the batch has r < t, both from the schedule's times; where r = t it is flow matching.  Each error is
    divided by (error + c)^power, which has no gradient (section 4.3); at a power of 0 it is the plain error.

    `guidance` is the scale w of classifier-free guidance, which the network learns (section 4.2): the velocity is that
    of `guided_velocity`.  Train it with `drop_condition`; examples with the null condition keep their velocity.

    The metrics are the plain errors where r = t, `mse_velocity`, and where r < t, `mse_average`.

    Raises:
      ValueError: the schedule is not linear, a share or `mixing` is out of range, or guidance without conditions.
    """
    _require_linear(model)
    if not 0 <= share <= 1 or not 0 <= mixing < 1:
        raise ValueError(
            f"mean_flow_loss was given a share of {share} and a mixing of {mixing}; expected [0, 1] and [0, 1)."
        )
    if not 0 <= guidance < np.inf or (guidance != 1 and not model.conditions):
        raise ValueError(f"mean_flow_loss was given a guidance of {guidance}; expected a finite scale and conditions.")

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        image = clean_data(context.batch)
        t, interval = draw_times(model.schedule, share, context, len(image))
        noise = draw_batch(jax.random.normal, stream(context, "noise").key, image.shape)
        z, condition = per_image(1 - t) * image + per_image(t) * noise, conditioning(model.conditions, context.batch)
        velocity = noise - image

        def instantaneous(*condition: Array) -> Array:
            return average_velocity(model, networks, z, t, jnp.zeros_like(t), *condition)[0]

        def average(z: Array, t: Array, interval: Array) -> tuple[Array, Variables]:
            return average_velocity(model, networks, z, t, interval, *condition, train=True, key=context.key)

        if guidance != 1:
            velocity = guided_velocity(instantaneous, velocity, condition, scale=guidance, mixing=mixing)

        u, target, changes = mean_flow_target(average, z, t, interval, velocity)
        errors = jnp.square(u - target).mean((1, 2, 3))
        weights = jax.lax.stop_gradient((errors + LEAST_ERROR) ** -power) if power else jnp.ones_like(errors)
        is_average = (interval > 0).astype(jnp.float32)
        metrics = {
            "mse_velocity": Mean(((1 - is_average) * errors).sum(), (1 - is_average).sum()),
            "mse_average": Mean((is_average * errors).sum(), is_average.sum()),
        }
        return (weights * errors).mean(), Aux(metrics, {model.name: changes})

    return loss


def mean_flow_target(
    average: Average, z: Array, t: Array, interval: Array, velocity: Array
) -> tuple[Array, Array, Variables]:
    """The network's u, its target, the mutated collections; the target is the right side of (2), without a gradient.

    With the velocity of an example in place of v it is that of equations (10) and (11).
    """
    ones = jnp.ones_like(t)  # t - r grows as t does: (v, 0, 1) of (z, r, t) is (v, 1, 1) of (z, t, t - r)
    u, rate, changes = jax.jvp(average, (z, t, interval), (velocity, ones, ones), has_aux=True)
    return u, jax.lax.stop_gradient(velocity - per_image(interval) * rate), changes


def average_velocity(
    model: Diffusion,
    networks: Networks,
    z: Array,
    t: Array,
    interval: Array,
    *condition: Array,
    train: bool = False,
    key: Array | None = None,
) -> tuple[Array, Variables]:
    """The u of (1), which is (z - x) / t for the x that the network predicts, and its mutated collections."""
    scaling = model.prediction(model.schedule, t)
    output, changes = model.predict(networks, z, scaling, *condition, train=train, key=key, interval=interval)
    return (per_image(1 - scaling.c_skip) * z - per_image(scaling.c_out) * output) / per_image(t), changes


def guided_velocity(
    instantaneous: Callable[..., Array],
    velocity: Array,
    condition: tuple[Array, ...],
    *,
    scale: float,
    mixing: float = 0.0,
) -> Array:
    """The velocity of guidance at a scale w, from that v of training examples; it has no gradient.

    `instantaneous` takes conditioning inputs to u at r = t.  The guided velocity is, with k the `mixing`,

        k u(c) + (1 - k) (w v + (1 - w) u(null))

    whose expectation is u(c) where that is v(null) + w (v(c) - v(null)), for every k.  In section 4.2 and the appendix
    omega is (1 - k) w, and kappa is k.  Examples with the null condition keep their velocity.
    """
    guided = scale * velocity + (1 - scale) * instantaneous(*map(jnp.zeros_like, condition))
    if mixing:
        guided = mixing * instantaneous(*condition) + (1 - mixing) * guided
    is_null = jnp.stack([(array == 0).all(range(1, array.ndim)) for array in condition]).all(0)
    return jax.lax.stop_gradient(jnp.where(per_image(is_null), velocity, guided))


def draw_times(schedule: Schedule, share: float, context: Context, count: int) -> tuple[Array, Array]:
    """Stratified times t, and the intervals t - r, 0 but for a share of the batch; both [B]."""
    one = schedule.times(draw_batch(stratified, stream(context, "times").key, (count,)))
    uniform = draw_batch(jax.random.uniform, stream(context, "intervals").key, (count, 2))
    other = schedule.times(jnp.clip(uniform[:, 0], TAIL, 1 - TAIL))
    is_average = uniform[:, 1] < share
    return jnp.where(is_average, jnp.maximum(one, other), one), jnp.where(is_average, jnp.abs(one - other), 0)


def mean_flow_sampler(model: Diffusion, steps: int = 1) -> Sampler:
    """Draws images by equal steps (3) from the noise that `model.sampler()` starts from, one evaluation each.

    Raises:
      ValueError: fewer than one step, or the schedule is not linear.
    """
    _require_linear(model)
    if steps < 1:
        raise ValueError(f"mean_flow_sampler was given {steps} steps; expected at least 1.")

    def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
        condition = conditioning(model.conditions, fields)
        starts = jax.vmap(jax.random.split)(keys)[:, 0]
        z = jax.vmap(lambda key: jax.random.normal(key, model.spec))(starts)

        def step(z: Array, t: Array) -> tuple[Array, None]:
            time, interval = (jnp.broadcast_to(value, z.shape[:1]) for value in (t, jnp.float32(1 / steps)))
            return z - average_velocity(model, networks, z, time, interval, *condition)[0] / steps, None

        return jax.lax.scan(step, z, jnp.linspace(1, 0, steps + 1)[:-1])[0]

    return Sampler(draw, model.conditions)


def _require_linear(model: Diffusion) -> None:
    with jax.ensure_compile_time_eval():
        t = jnp.array([0.25, 0.5, 1.0])
        alpha, sigma = model.schedule.coefficients(t)
        is_linear = bool(jnp.array_equal(alpha, 1 - t) and jnp.array_equal(sigma, t))
    if not is_linear or model.schedule.end != 1:
        raise ValueError("MeanFlow is of the straight paths of the schedule `linear`; the model has another one.")
