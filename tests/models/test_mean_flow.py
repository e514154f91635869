"""MeanFlow against flows whose average velocity has a closed form: those of Gaussians."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import Context, ImageSpec
from jaxgen.core.condition import labels
from jaxgen.core.objective import stream
from jaxgen.models import drop_condition
from jaxgen.models.diffusion import (
    Diffusion,
    cosine,
    denoising_loss,
    heun,
    karras_by_time,
    linear,
    mean_flow_loss,
    mean_flow_sampler,
    uniform_grid,
    velocity,
)
from jaxgen.models.diffusion.mean_flow import average_velocity, draw_times, guided_velocity, mean_flow_target
from jaxgen.models.diffusion.model import per_image
from jaxgen.nets import DiT
from tests.models.programs import networks_like

SPEC = ImageSpec(4, 6, 1)
MEAN, STD = 0.25, 0.5
KEYS = jax.random.split(jax.random.key(7), 500)


def unscaled(schedule, t):
    """The prediction `velocity` of a network that takes z_t as it is."""
    return velocity(schedule, t)._replace(c_in=jnp.ones_like(t))


def spread(t, std):
    return jnp.sqrt(jnp.square((1 - t) * std) + jnp.square(t))


class GaussianFlow(nn.Module):
    """The exact average velocity for images whose pixels are N(mean, std^2), or a point at std 0."""

    mean: float
    std: float

    @nn.compact
    def __call__(self, z, *condition, train, noise_level, interval=None):
        mean = self.param("mean", lambda _: jnp.float32(self.mean))
        t = per_image(noise_level)
        if interval is None:
            return self.instantaneous(z, t, mean)
        length = per_image(interval)
        r = t - length
        start = (1 - r) * mean + spread(r, self.std) / spread(t, self.std) * (z - (1 - t) * mean)
        is_average = length > 0
        average = (z - start) / jnp.where(is_average, length, 1)
        return jnp.where(is_average, average, self.instantaneous(z, t, mean))

    def instantaneous(self, z, t, mean):
        variance = jnp.square(spread(t, self.std))
        return (t - (1 - t) * self.std**2) / variance * (z - (1 - t) * mean) - mean


def gaussian(std=STD, mean=MEAN):
    model = Diffusion(GaussianFlow(mean, std), SPEC, prediction=unscaled)
    return model, {"denoiser": {"params": {"mean": jnp.float32(mean)}}}


def context(images, key=3, **fields):
    return Context({"image": images, **fields}, jax.random.key(key), jnp.int32(0))


def random_images(count=16):
    return jnp.asarray(np.random.default_rng(0).integers(0, 256, (count, *SPEC), dtype=np.uint8))


def test_the_average_velocity_of_a_gaussian_satisfies_the_identity():
    model, networks = gaussian()
    t = jnp.linspace(0.2, 1.0, 40)
    interval = t * jnp.linspace(0.9, 0.1, 40)
    z = 1.5 * jax.random.normal(jax.random.key(1), (40, *SPEC))

    def average(z, t, interval):
        return average_velocity(model, networks, z, t, interval)

    now, _ = average(z, t, jnp.zeros_like(t))
    u, target, _ = jax.jit(mean_flow_target, static_argnums=0)(average, z, t, interval, now)
    # Images of about 3 are subtracted and divided by intervals of 0.1, in the derivative twice.
    np.testing.assert_allclose(u, target, atol=3 * 2**-23 / 0.1**2)
    assert jnp.abs(now - u).max() > 0.1


def test_the_loss_of_the_average_velocity_of_a_point_is_zero():
    model, networks = gaussian(std=0.0, mean=51 / 127.5 - 1)
    images = jnp.full((16, *SPEC), 51, jnp.uint8)
    value, aux = jax.jit(mean_flow_loss(model, share=0.5, power=0.0))(networks, context(images))
    assert value < 1e-7
    assert aux.metrics["mse_average"].count > 0
    other = {"denoiser": {"params": {"mean": jnp.float32(0.0)}}}
    assert jax.jit(mean_flow_loss(model, share=0.5, power=0.0))(other, context(images))[0] > 0.1


def test_without_intervals_it_is_flow_matching():
    model = Diffusion(DiT(patch=2, width=4, blocks=1, intervals=True), SPEC)
    networks = networks_like(lambda: model.init(jax.random.key(0), SPEC))
    losses = mean_flow_loss(model, share=0.0, power=0.0), denoising_loss(model)
    found, expected = (
        jax.jit(jax.value_and_grad(lambda networks, loss=loss: loss(networks, context(random_images()))[0]))(networks)
        for loss in losses
    )
    # The interval's derivative multiplies by an interval of 0, and u is divided by and multiplied with t.
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_share_of_the_batch_has_two_times_in_order():
    t, interval = draw_times(linear(), 0.25, context(None), 4_000)
    assert abs((interval > 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4_000)
    assert (interval >= 0).all()
    assert (interval < t).all()
    # The larger of two uniform times, and the difference.
    pairs = interval > 0
    assert abs(t[pairs].mean() - 2 / 3) < 4 * 0.24 / np.sqrt(1_000)
    assert abs(interval[pairs].mean() - 1 / 3) < 4 * 0.24 / np.sqrt(1_000)


def test_the_adaptive_weight_normalises_the_gradient_of_each_error():
    model, networks = gaussian(std=0.0, mean=0.0)
    batch = context(random_images(1))

    def gradient(power):
        loss = mean_flow_loss(model, share=0.0, power=power)
        value, gradients = jax.jit(jax.value_and_grad(lambda networks: loss(networks, batch)[0]))(networks)
        return value, gradients["denoiser"]["params"]["mean"]

    (error, plain), (value, weighted) = gradient(0.0), gradient(1.0)
    np.testing.assert_allclose(value, error / (error + 1e-3), rtol=1e-5)
    np.testing.assert_allclose(weighted, plain / (error + 1e-3), rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_any_number_of_steps_of_the_exact_average_velocity_is_the_exact_flow(steps):
    model, networks = gaussian()
    images = jax.jit(mean_flow_sampler(model, steps))(networks, KEYS)
    starts = jax.vmap(lambda key: jax.random.normal(jax.random.split(key)[0], SPEC))(KEYS)
    np.testing.assert_allclose(images, MEAN + STD * starts, atol=1e-5)


def test_a_solver_of_the_instantaneous_velocity_starts_from_the_same_noise():
    model, networks = gaussian()
    model = model._replace(solver=heun, grid=uniform_grid(64))
    few, many = (jax.jit(sampler)(networks, KEYS) for sampler in (mean_flow_sampler(model), model.sampler()))
    np.testing.assert_allclose(few, many, atol=2e-3)  # the solver's error


class ClassFlow(nn.Module):
    """A velocity for each class and another one without a class."""

    velocities: tuple[float, ...]

    @nn.compact
    def __call__(self, z, condition, *, train, noise_level, interval=None):
        table = jnp.array(self.velocities)
        value = jnp.where(condition.sum(-1) > 0, condition @ table[1:], table[0])
        return jnp.broadcast_to(per_image(value), z.shape)


@pytest.mark.parametrize("mixing", [0.0, 0.6])
def test_guidance_has_the_guided_velocity_as_its_fixed_point(mixing):
    null, classes, scale = -0.5, jnp.array([0.5, 2.0]), 1.5
    fixed = null + scale * (classes - null)

    def instantaneous(condition):
        value = jnp.where(condition.sum(-1) > 0, condition @ fixed, null)
        return per_image(value) * jnp.ones((3, *SPEC))

    condition = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    velocities = per_image(jnp.append(classes, 7.0)) * jnp.ones((3, *SPEC))
    guided = guided_velocity(instantaneous, velocities, (condition,), scale=scale, mixing=mixing)
    np.testing.assert_allclose(guided, per_image(jnp.append(fixed, 7.0)) * jnp.ones((3, *SPEC)), rtol=1e-6)


def test_the_loss_learns_the_guided_velocity_and_without_a_class_the_plain_one():
    images = jnp.full((8, *SPEC), 255, jnp.uint8)
    model = Diffusion(ClassFlow((0.3, -0.2, 0.9)), SPEC, prediction=unscaled, conditions=labels(2))
    plain = mean_flow_loss(model, share=0.0, power=0.0)
    guided = mean_flow_loss(model, share=0.0, power=0.0, guidance=3.0)

    def value(loss, label):
        return float(jax.jit(loss)({"denoiser": {}}, context(images, label=jnp.full(8, label)))[0])

    v = jax.random.normal(stream(context(images), "noise").key, images.shape) - 1.0
    np.testing.assert_allclose(value(plain, 1), jnp.square(0.9 - v).mean(), rtol=1e-4)
    np.testing.assert_allclose(value(guided, 1), jnp.square(0.9 - (3 * v - 2 * 0.3)).mean(), rtol=1e-4)
    null = jnp.square(0.3 - v).mean()
    np.testing.assert_allclose(value(guided, -1), null, rtol=1e-4)
    np.testing.assert_allclose(value(drop_condition(guided, labels(2), 1.0), 1), null, rtol=1e-4)


def test_the_derivatives_of_karras_by_time_are_bounded():
    times = jnp.array([1e-4, 0.5, 1.0])
    scaling, rates = jax.jvp(partial(karras_by_time(0.6), linear()), (times,), (jnp.ones(3),))
    np.testing.assert_array_equal(scaling.c_noise, times)
    assert all((jnp.abs(rate) < 10).all() for rate in rates)


def test_a_network_without_intervals_is_refused_one():
    model = Diffusion(DiT(patch=2, width=4, blocks=1), SPEC)
    networks = jax.eval_shape(lambda: model.init(jax.random.key(0), SPEC))
    with pytest.raises(ValueError, match="intervals=True"):
        jax.eval_shape(mean_flow_sampler(model), networks, KEYS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model: mean_flow_loss(model._replace(schedule=cosine())), "straight paths"),
        (lambda model: mean_flow_sampler(model._replace(schedule=cosine())), "straight paths"),
        (lambda model: mean_flow_loss(model, share=1.5), "share of 1.5"),
        (lambda model: mean_flow_loss(model, mixing=1.0), "mixing of 1.0"),
        (lambda model: mean_flow_loss(model, guidance=2.0), "guidance of 2.0"),
        (lambda model: mean_flow_loss(model, guidance=float("nan")), "guidance of nan"),
        (lambda model: mean_flow_sampler(model, 0), "0 steps"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    model, _ = gaussian()
    with pytest.raises(ValueError, match=message):
        make(model)
