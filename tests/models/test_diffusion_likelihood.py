"""Likelihoods of diffusion models whose denoiser is exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.evaluation import measure_bound, measure_flow
from jaxgen.models import labels
from jaxgen.models.diffusion import cosine, flow_likelihood, linear, variance_exploding, variational_bound
from jaxgen.models.diffusion.grid import log_snr_grid
from jaxgen.models.diffusion.probability_flow import CELL, flow_log_density, random_signs, unit_vectors
from tests.models.exact_diffusion import exact_model, gaussian_denoiser, mixture_denoiser, random_covariance
from tests.programs import float64

SCHEDULES = {"linear": linear(), "cosine": cosine(), "variance exploding": variance_exploding(1e5)}
SIZE = 3
MEAN = 0.5 * jax.random.normal(jax.random.key(0), (1, SIZE, 1))
COVARIANCE = random_covariance(jax.random.key(1), SIZE)
X = jax.random.normal(jax.random.key(2), (5, 1, SIZE, 1))

GREY = jnp.array([0, 85, 170, 255], jnp.uint8)
PAIRS = jnp.stack(jnp.meshgrid(GREY, GREY, indexing="ij"), -1).reshape(16, 1, 2, 1)
PROBABILITIES = jax.random.dirichlet(jax.random.key(3), jnp.full(16, 0.5))


def density(x, mean, covariance):
    """The log density of a normal distribution, in float64."""
    rest = np.asarray(x, np.float64).reshape(len(x), -1) - np.asarray(mean, np.float64).reshape(-1)
    covariance = np.asarray(covariance, np.float64)
    distance = np.einsum("ni,ij,nj->n", rest, np.linalg.inv(covariance), rest)
    return -0.5 * (distance + np.linalg.slogdet(2 * np.pi * covariance)[1])


def flow_density(schedule, x, times, probes):
    denoise = gaussian_denoiser(schedule, MEAN.astype(x.dtype), COVARIANCE.astype(x.dtype))

    @jax.jit
    def of(x, times, probes):
        at_one_time = lambda x, t: denoise(x, jnp.broadcast_to(t, x.shape[:1]))  # noqa: E731
        return flow_log_density(schedule, at_one_time, x, times, probes)

    return of(x, times, probes)


def bound_of_pairs(schedule, separation, samples=64, copies=256):
    """The terms of the bound for each pair of pixels and each copy, [16, copies]."""
    model = exact_model(mixture_denoiser(schedule, PAIRS / 127.5 - 1, PROBABILITIES), (1, 2, 1), schedule)
    bound = jax.jit(variational_bound(model, {}, levels=4, samples=samples, separation=separation))
    terms = bound({"image": jnp.repeat(PAIRS, copies, 0)}, jax.random.split(jax.random.key(4), 16 * copies))
    return jax.tree.map(lambda values: np.asarray(values, np.float64).reshape(16, copies), terms)


def mean_and_error(values):
    return values.mean(-1), values.std(-1, ddof=1) / np.sqrt(values.shape[-1])


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_bound_of_a_discrete_model_is_its_exact_likelihood_as_the_noise_ends(name):
    nats, error = mean_and_error(bound_of_pairs(SCHEDULES[name], 8.0).nats)
    exact, probabilities = -np.log(np.asarray(PROBABILITIES, np.float64)), np.asarray(PROBABILITIES, np.float64)
    # One side of the bound by image, both on average: only the mean over images of the gap is a divergence.
    assert (nats - exact > -4 * error).all()
    gap, gap_error = probabilities @ (nats - exact), np.sqrt((probabilities * error) ** 2 @ np.ones(16))
    assert abs(gap) < 4 * gap_error + 1e-3
    assert gap_error < 0.04


def test_a_bound_that_begins_at_more_noise_is_looser_and_still_one_of_a_distribution():
    probabilities, gaps = np.asarray(PROBABILITIES, np.float64), []
    for separation in (1.0, 2.0, 4.0):
        nats, error = mean_and_error(bound_of_pairs(linear(), separation).nats)
        gaps.append(probabilities @ (nats + np.log(probabilities)))
        # Of each image the bound is below the probability that the model has for it, which sum to 1.
        assert np.exp(-nats).sum() < 1 + 4 * np.sqrt((np.exp(-nats) * error) ** 2 @ np.ones(16))
    assert gaps[0] > gaps[1] + 0.1 > gaps[2] + 0.2
    assert gaps[2] > -0.1


def test_a_wrong_denoiser_loosens_the_bound_by_its_error():
    """With D too large by c sigma / alpha the squared error grows by its share of log SNR: c^2 / 2 a pixel."""
    schedule, c = linear(), 0.5
    exact = mixture_denoiser(schedule, PAIRS / 127.5 - 1, PROBABILITIES)

    def wrong(x, t):
        return exact(x, t) + c * schedule.ratio(t)[:, None, None, None]

    right, other = (
        jax.jit(variational_bound(exact_model(d, (1, 2, 1), schedule), {}, levels=4, samples=64))
        for d in (exact, wrong)
    )
    batch, keys = {"image": jnp.repeat(PAIRS, 128, 0)}, jax.random.split(jax.random.key(5), 2_048)
    weights = np.repeat(np.asarray(PROBABILITIES, np.float64), 128) / 128
    looser = np.asarray(other(batch, keys).nats - right(batch, keys).nats, np.float64)
    span = 2 * np.log(1e3) - 2 * np.log(2 / 3 / 8)
    # E[x - D | x_t] is 0, so that the cross term is 0 on average.
    assert weights @ looser == pytest.approx(2 * c**2 * span / 2, rel=0.02)


def test_an_estimate_depends_on_its_own_image_and_key_alone():
    model = exact_model(mixture_denoiser(linear(), PAIRS / 127.5 - 1, PROBABILITIES), (1, 2, 1), linear())
    bound, keys = jax.jit(variational_bound(model, {}, levels=4, samples=4)), jax.random.split(jax.random.key(6), 16)
    all_, some = bound({"image": PAIRS}, keys).nats, bound({"image": PAIRS[3:5]}, keys[3:5]).nats
    np.testing.assert_allclose(all_[3:5], some, rtol=1e-5)
    assert len(np.unique(all_)) == 16


def test_a_condition_reaches_the_denoiser():
    seen = []

    def denoise(x, t, *condition):
        seen.append([array.shape for array in condition])
        return x

    model = exact_model(denoise, (1, 2, 1), linear(), conditions=labels(3))
    batch, keys = {"image": PAIRS, "label": jnp.zeros(16, jnp.int32)}, jax.random.split(jax.random.key(7), 16)
    jax.eval_shape(variational_bound(model, {}, levels=4, samples=1), batch, keys)
    jax.eval_shape(flow_likelihood(model, {}, probes=1, grid=log_snr_grid(2)), batch, keys)
    assert seen
    assert all(shapes == [(16, 3)] for shapes in seen)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_flow_of_gaussian_images_has_their_density(name):
    schedule = SCHEDULES[name]
    with float64():
        x = jnp.asarray(np.asarray(X, np.float64))
        uniform = jnp.linspace(0, schedule.end, 65)
        # At its end an image is still 1e-5 of the noise, which the prior neglects.
        by_ratio = jnp.geomspace(1e-5, schedule.end, 257)
        times = by_ratio if name == "variance exploding" else uniform
        values = flow_density(schedule, x, times.astype(jnp.float64), unit_vectors(x)).mean(0)
        np.testing.assert_allclose(values, density(X, MEAN, COVARIANCE), atol=1e-4)


def test_single_precision_is_enough_for_the_flow():
    values = flow_density(linear(), X, jnp.linspace(0, 1, 65), unit_vectors(X)).mean(0)
    np.testing.assert_allclose(values, density(X, MEAN, COVARIANCE), atol=1e-4)


def test_hutchinsons_estimator_is_right_within_its_standard_error():
    probes, x = 400, jnp.repeat(X, 2, 0)
    times, keys = jnp.linspace(0, 1, 33), jax.random.split(jax.random.key(8), len(x))
    values = np.asarray(flow_density(linear(), x, times, random_signs(keys, probes, x)), np.float64)
    mean, error = mean_and_error(values.T)
    assert (error > 1e-3).all()  # it is an estimate: the covariance is not diagonal
    assert (abs(mean - density(x, MEAN, COVARIANCE)) < 4 * error + 1e-4).all()
    # Images that are alike have probes of their own.
    assert (values[:, 0] != values[:, 1]).any()


def test_the_nats_of_the_flow_are_those_of_the_cells_of_a_wide_density():
    """Where a density hardly changes within a cell, its probability is the density times the cell's volume."""
    model = exact_model(gaussian_denoiser(linear(), MEAN, COVARIANCE), (1, SIZE, 1), linear())
    images = np.random.default_rng(0).integers(0, 256, (6, 1, SIZE, 1), np.uint8)
    found = measure_flow(flow_likelihood(model, {}, probes=16), images)
    expected = -density(images / 127.5 - 1, MEAN, COVARIANCE) - SIZE * np.log(CELL)
    total = found["dequantised NLL of the probability flow, nats"]
    trace = found["error of Hutchinson's estimator, nats"].value
    assert 0 < trace < total.standard_error
    # Beside the trace: the last step to noise, and where in a cell the dequantised pixels are.
    assert abs(total.value - expected.mean()) < 4 * trace + 0.05


def test_the_measured_bound_is_that_of_the_images_and_says_what_it_is():
    schedule = cosine()
    model = exact_model(mixture_denoiser(schedule, PAIRS / 127.5 - 1, PROBABILITIES), (1, 2, 1), schedule)
    probabilities = np.asarray(PROBABILITIES, np.float64)
    chosen = np.random.default_rng(1).choice(16, 2_000, p=probabilities / probabilities.sum())
    images = np.asarray(PAIRS)[chosen]
    bound = variational_bound(model, {}, levels=4, samples=16)
    found = measure_bound(bound, images, levels=4, size=1_000)
    total = found["variational bound on the NLL, nats"]
    exact = -np.log(probabilities)[chosen].mean()
    assert abs(total.value - exact) < 4 * total.standard_error
    assert found["bits/dim"].value == pytest.approx(total.value / 2 / np.log(2))
    assert sum(found[term].value for term in ("prior", "diffusion", "reconstruction")) == pytest.approx(total.value)
    shuffled = measure_bound(bound, images[::-1], levels=4, size=1_000)
    assert shuffled["variational bound on the NLL, nats"].value == pytest.approx(total.value, rel=1e-6)


def test_pixels_between_the_levels_are_refused():
    with pytest.raises(InputError, match="2 levels was given pixels of 85; binarise"):
        measure_bound(lambda batch, keys: None, np.asarray(PAIRS), levels=2)
    with pytest.raises(InputError, match="0 images"):
        measure_flow(lambda batch, keys: None, np.zeros((0, 1, 2, 1), np.uint8))


@pytest.mark.parametrize(
    "ask",
    [
        lambda model: variational_bound(model, {}, samples=0),
        lambda model: variational_bound(model, {}, separation=0.0),
        lambda model: variational_bound(model, {}, levels=1),
        lambda model: flow_likelihood(model, {}, probes=0),
    ],
)
def test_a_likelihood_of_nothing_is_refused(ask):
    with pytest.raises(ValueError, match="expected"):
        ask(exact_model(None, (1, 2, 1), linear()))
