"""Divergences against SciPy and by sampling."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jaxgen.losses import gaussian_kl, gaussian_log_densities, gaussian_log_density


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_densities_are_those_of_scipy():
    z, mean, log_variance = normal(3, 5)
    density = jax.jit(gaussian_log_density)
    np.testing.assert_allclose(
        density(z, mean, log_variance), stats.norm(mean, np.exp(log_variance / 2)).logpdf(z), rtol=1e-5
    )
    np.testing.assert_allclose(density(z), stats.norm.logpdf(z), rtol=1e-5)


def narrow_normals(deviation):
    """Twenty vectors, each of them drawn from one of seven normals [7, 50] of about the given deviation."""
    means, log_variances = normal(2, 7, 50)
    log_variances = log_variances / 2 + np.float32(2 * np.log(deviation))
    own = np.arange(20) % 7
    z = means[own] + np.exp(log_variances[own] / 2) * normal(20, 50, seed=1)
    return z, means, log_variances


log_densities = jax.jit(gaussian_log_densities)


@pytest.mark.parametrize("deviation", [1.0, 0.1, 0.01])
def test_densities_of_all_pairs_are_those_of_scipy_however_narrow(deviation):
    z, means, log_variances = narrow_normals(deviation)
    expected = stats.norm(np.float64(means), np.exp(np.float64(log_variances) / 2)).logpdf(np.float64(z)[:, None])
    told = np.asarray(log_densities(z.reshape(4, 5, 50), means, log_variances)).reshape(20, 7)
    own = np.arange(20), np.arange(20) % 7
    # float32 holds a difference of numbers about 1 to 1e-7, and that over the deviation, fifty times.
    np.testing.assert_allclose(told[own], expected.sum(-1)[own], atol=2e-5 / deviation)
    np.testing.assert_allclose(told, expected.sum(-1), rtol=1e-5, atol=2e-5 / deviation)


def all_pairs(z, means, log_variances):
    """The same with all differences in memory."""
    return gaussian_log_density(z[:, None], means, log_variances).sum(-1)


@jax.jit
def gradients(*normals):
    """Of a mixture's density, by matrix products and by all pairs."""

    def mixture(densities, z, means, log_variances):
        return jax.nn.logsumexp(densities(z, means, log_variances), axis=-1).sum()

    by = [jax.grad(partial(mixture, densities), argnums=(0, 1, 2)) for densities in (gaussian_log_densities, all_pairs)]
    return [gradient(*normals) for gradient in by]


@pytest.mark.parametrize("deviation", [1.0, 0.1, 0.01])
def test_gradients_by_matrix_products_are_those_of_all_pairs(deviation):
    for told, expected in zip(*gradients(*narrow_normals(deviation)), strict=True):
        # Products of about 1 over the variance cancel, and float32 holds them to 1e-7.
        np.testing.assert_allclose(told, expected, atol=2e-6 / deviation**2 * np.abs(expected).max())


def test_derivatives_forward_are_those_of_all_pairs():
    normals = narrow_normals(1.0)
    tangents = tuple(normal(*leaf.shape, seed=1) for leaf in normals)

    @jax.jit
    def derivatives(*given):
        return [jax.jvp(densities, *given)[1] for densities in (gaussian_log_densities, all_pairs)]

    told, expected = derivatives(normals, tangents)
    np.testing.assert_allclose(told, expected, atol=2e-6 * np.abs(expected).max())


def test_densities_in_few_bits_are_summed_in_many():
    coarse = normal(3, 4, 512).astype(jnp.bfloat16)
    told = log_densities(*coarse)
    assert told.dtype == jnp.bfloat16
    exact = jax.jit(all_pairs)(*coarse.astype(np.float32))
    # bfloat16 holds eight bits of the sum, and of each of its 512 terms, whose errors are as often up as down.
    np.testing.assert_allclose(np.asarray(told, np.float32), exact, rtol=2**-7)


def test_densities_can_be_mapped_over_devices():
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
    vectors = jax.sharding.PartitionSpec("data")
    everywhere = jax.sharding.PartitionSpec()
    normals = narrow_normals(1.0)
    shared = jax.shard_map(
        gaussian_log_densities, mesh=mesh, in_specs=(vectors, everywhere, everywhere), out_specs=vectors
    )
    expected = np.asarray(log_densities(*normals))
    np.testing.assert_allclose(jax.jit(shared)(*normals), expected, atol=1e-6 * np.abs(expected).max())


def test_divergences_are_integrals_of_their_definition():
    parameters = normal(6, 4).astype(np.float64)
    divergence = jax.jit(gaussian_kl)
    for mean, log_variance, other_mean, other_log_variance in parameters:
        one, other = stats.norm(mean, np.exp(log_variance / 2)), stats.norm(other_mean, np.exp(other_log_variance / 2))
        expected, _ = integrate.quad(lambda z: one.pdf(z) * (one.logpdf(z) - other.logpdf(z)), -30, 30, limit=200)  # noqa: B023
        np.testing.assert_allclose(
            divergence(mean, log_variance, other_mean, other_log_variance), expected, rtol=1e-4, atol=1e-6
        )


def test_a_distribution_does_not_diverge_from_itself():
    mean, log_variance = normal(2, 5)
    np.testing.assert_array_equal(gaussian_kl(mean, log_variance, mean, log_variance), np.zeros(5))
    np.testing.assert_allclose(gaussian_kl(mean, log_variance), gaussian_kl(mean, log_variance, 0.0, 0.0))
