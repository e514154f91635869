"""Restoration with an unconditional denoiser: guidance to images that an observation y = A(x) + n could be of.

With D = E[x_0 | x_t], J = dD / dx_t, n ~ N(0, s^2 I), and V an approximation of the covariance of x_0 given x_t,

    (1) null space   D' = A+ y + (I - A+ A) D                            Wang et al. (2023), equation (13)
    (1') nearly so   D' = D + A^T (A A^T + l I)^-1 (y - A D)
    (2) linear       D' = D + K (A V A^T + s^2 I)^-1 (y - A D),  K = sigma^2 / alpha J^T A^T
    (3) any A        D' = D - sigma^2 / alpha d/dx_t |y - A(D)|^2 / (2 r^2)      Chung et al. (2023), algorithm 1

https://arxiv.org/abs/2212.00490, https://arxiv.org/abs/2209.14687.  A+ is any function with A A+ y = y.  (2) is ΠGDM
for an isotropic V, Song et al. (2023), https://openreview.net/forum?id=9_gsMA8MRKQ; and the exact E[x_0 | x_t, y] of
Gaussian images for Tweedie's V = sigma^2 / alpha J, Boys et al. (2023), https://arxiv.org/abs/2310.06721, solved by
conjugate gradients, Rozet et al. (2024), https://arxiv.org/abs/2405.13712, section 4.  At pure noise, where alpha is 0,
(2) and (3) are D.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Array
from jaxgen.io.errors import InputError, first_line
from jaxgen.models.diffusion.guidance import Denoiser, Guidance
from jaxgen.models.diffusion.prediction import per_image
from jaxgen.models.diffusion.schedule import Schedule
from jaxgen.models.image_to_image.tasks import Task

Linear = Callable[[Array], Array]

Covariance = Callable[[Array, Array, Linear], Linear]
"""alpha and sigma [B, 1, 1, 1], and sigma^2 / alpha J^T as a function of images, to V as one."""


class Observation(NamedTuple):
    """Degraded images y, [B, ...], the function A from images [B, H, W, C] to them, and the noise's deviation s."""

    degrade: Callable[[Array], Array]
    degraded: Array
    deviation: float = 0.0


def observe(task: Task, images: Array, known: Array, *, deviation: float = 0.0) -> Observation:
    """The observation of degraded images [B, H, W, C] and of their known pixels, bool [B, H, W, 1], in a task.

    Both may be those of one image, B = 1, of which a batch of images is restored.
    """

    def degrade(images: Array) -> Array:
        return task.observation(images, jnp.broadcast_to(known, (*images.shape[:3], 1)))

    return Observation(degrade, degrade(images), deviation)


def null_space(task: Task, inputs: Array, spec: ImageSpec) -> Guidance:
    """(1): the task's `complete` makes images of a size consistent with the task's inputs [B, H, W, C'].

    Raises:
      InputError: the task is not linear, or its inputs are noisy, so that they do not determine a part of the image.
    """
    require_exact(task, spec)

    def guide(denoiser: Denoiser) -> Denoiser:
        return lambda x, t, *condition: task.complete(inputs, denoiser(x, t, *condition))

    return guide


def nearly_null_space(observation: Observation, ridge: float, iterations: int = 30) -> Guidance:
    """(1'), (1) for a linear A without an A+, such as a blur, solved by conjugate gradients.

    `ridge` is l: the variance of the error of y, relative to that of the error of D.

    Raises:
      InputError: the degradation is not linear.
    """

    def guide(denoiser: Denoiser) -> Denoiser:
        def denoise(x: Array, t: Array, *condition: Array) -> Array:
            denoised = denoiser(x, t, *condition)
            adjoint = adjoint_of(observation.degrade, x)
            _, linear = jax.linearize(observation.degrade, jnp.zeros_like(x))
            rest = observation.degraded - observation.degrade(denoised)
            solution = _conjugate_gradients(lambda one: linear(adjoint(one)) + ridge * one, rest, iterations)
            return denoised + adjoint(solution)

        return denoise

    return guide


def tweedie(alpha: Array, sigma: Array, scaled_jacobian: Linear) -> Linear:  # noqa: ARG001
    """The covariance of x_0 given x_t that follows from the denoiser: exact if that is."""
    return scaled_jacobian


def isotropic(sigma_data: float = 1.0) -> Covariance:
    """The covariance for images of independent pixels with a deviation of `sigma_data`: ΠGDM's r_t^2 I."""

    def covariance(alpha: Array, sigma: Array, scaled_jacobian: Linear) -> Linear:  # noqa: ARG001
        variance = jnp.square(sigma_data * sigma) / (jnp.square(sigma_data * alpha) + jnp.square(sigma))
        return lambda images: variance * images

    return covariance


def posterior(
    schedule: Schedule, observation: Observation, *, covariance: Covariance = tweedie, iterations: int = 5
) -> Guidance:
    """(2), solved by a number of iterations of conjugate gradients, each with a product by V.

    As many iterations as y has values solve it exactly; for tasks whose A A^T is a multiple of a projection, one does
    for an isotropic V.

    Raises:
      ValueError: no iterations, or a negative deviation.
      InputError: the degradation is not linear.
    """
    degrade, degraded, deviation = observation
    if iterations < 1 or not 0 <= deviation < math.inf:
        raise ValueError(f"posterior was given {iterations} iterations and a deviation of {deviation}; expected some.")

    def guide(denoiser: Denoiser) -> Denoiser:
        def denoise(x: Array, t: Array, *condition: Array) -> Array:
            adjoint = adjoint_of(degrade, x)
            alpha, sigma = (per_image(values) for values in schedule.coefficients(t))
            denoised, pull_back = jax.vjp(lambda x: denoiser(x, t, *condition), x)
            _, linear = jax.linearize(degrade, jnp.zeros_like(x))

            def scaled_jacobian(images: Array) -> Array:
                return _over(jnp.square(sigma), alpha) * pull_back(images)[0]

            variance = covariance(alpha, sigma, scaled_jacobian)

            def product(weights: Array) -> Array:
                return linear(variance(adjoint(weights))) + deviation**2 * weights

            weights = _conjugate_gradients(product, degraded - degrade(denoised), iterations)
            return denoised + scaled_jacobian(adjoint(weights))

        return denoise

    return guide


def posterior_sampling(schedule: Schedule, observation: Observation, *, widening: float = 0.0) -> Guidance:
    """(3) with r^2 = s^2 + `widening` sigma^2 / alpha^2, for any differentiable degradation.

    The paper has a widening of 0, and for noiseless observations steps of a fixed length, which belong to a solver
    with steps of a fixed length.  With a widening about as large as the eigenvalues of A A^T the guidance is stable for
    any solver, and s may be 0: Rozet and Louppe (2023), https://arxiv.org/abs/2306.10574, section 3.2.

    Raises:
      ValueError: neither the deviation nor the widening is above 0.
    """
    degrade, degraded, deviation = observation
    if not (deviation >= 0 and widening >= 0 and deviation + widening > 0):
        raise ValueError(f"posterior_sampling was given s = {deviation} and a widening of {widening}; expected some.")

    def guide(denoiser: Denoiser) -> Denoiser:
        def denoise(x: Array, t: Array, *condition: Array) -> Array:
            alpha, sigma = (per_image(values) for values in schedule.coefficients(t))

            def error(x: Array) -> tuple[Array, Array]:
                denoised = denoiser(x, t, *condition)
                return jnp.square(degraded - degrade(denoised)).sum() / 2, denoised

            gradient, denoised = jax.grad(error, has_aux=True)(x)
            # sigma^2 / (alpha r^2), with alpha^2 multiplied out, so that nothing is infinite.
            variance = jnp.square(alpha * deviation) + widening * jnp.square(sigma)
            return denoised - _over(alpha * jnp.square(sigma), variance) * gradient

        return denoise

    return guide


def adjoint_of(degrade: Linear, images: Array) -> Linear:
    """The adjoint of the linear part of a degradation of images of this shape.

    Raises:
      InputError: the degradation is not linear, up to a constant.
    """
    try:
        transpose = jax.linear_transpose(degrade, images)
        jax.eval_shape(transpose, jax.eval_shape(degrade, images))
    except Exception as error:  # JAX raises several kinds, one for each primitive
        raise InputError(
            f"This task is not linear; restore it with posterior_sampling, which takes any task ({first_line(error)})."
        ) from error
    return lambda degraded: transpose(degraded)[0]


def require_exact(task: Task, spec: ImageSpec) -> None:
    """Refuses a task that is not linear, or whose inputs do not determine a part of the image exactly.

    Raises:
      InputError: naming what can be used instead.
    """
    with jax.ensure_compile_time_eval():
        images, made = (jax.random.normal(jax.random.key(seed), (1, *spec)) for seed in range(2))
        known = jax.random.bernoulli(jax.random.key(2), shape=(1, *spec[:2], 1))
        adjoint_of(lambda images: task.observation(images, known), images)
        inputs = task.observation(images, known)
        again = task.observation(task.complete(inputs, made), known)
        is_exact = bool(jnp.allclose(again, inputs, atol=1e-4))
    if not is_exact:
        raise InputError("This task's inputs are noisy: no part of the image is exact; restore it with posterior.")


def _conjugate_gradients(product: Linear, right: Array, iterations: int) -> Array:
    """An approximate solution [B, ...] of `product(solution) = right`, for each image by itself.

    Hestenes and Stiefel (1952).  An image whose residual is 0 stays, so that a consistent singular system is solved.
    """

    def inner(a: Array, b: Array) -> Array:
        return (a * b).reshape(len(a), -1).sum(-1).reshape(-1, *(1,) * (a.ndim - 1))

    def step(_: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        solution, residual, direction = state
        image, square = product(direction), inner(residual, residual)
        length = _over(square, inner(direction, image))
        after = residual - length * image
        return solution + length * direction, after, after + _over(inner(after, after), square) * direction

    return jax.lax.fori_loop(0, iterations, step, (jnp.zeros_like(right), right, right))[0]


def _over(a: Array, b: Array) -> Array:
    """The ratio a / b where b is above 0, and 0 elsewhere."""
    return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)
