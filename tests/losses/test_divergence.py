"""Divergences against SciPy and by sampling."""

import jax
import numpy as np
from scipy import integrate, stats

from jaxgen.losses import gaussian_kl, gaussian_log_densities, gaussian_log_density


def test_densities_are_those_of_scipy():
    z, mean, log_variance = jax.random.normal(jax.random.key(0), (3, 5))
    np.testing.assert_allclose(
        gaussian_log_density(z, mean, log_variance), stats.norm(mean, np.exp(log_variance / 2)).logpdf(z), rtol=1e-5
    )
    np.testing.assert_allclose(gaussian_log_density(z), stats.norm.logpdf(z), rtol=1e-5)


def test_densities_by_matrix_products_are_the_sums_of_all_pairs():
    z, *normals = (jax.random.normal(jax.random.key(i), (size, 50)) for i, size in enumerate((20, 7, 7)))
    means, log_variances = 3 * normals[0], 2 * normals[1]
    expected = [
        stats.norm(mean, np.exp(log_variance / 2)).logpdf(z).sum(-1)
        for mean, log_variance in zip(np.float64(means), np.float64(log_variances), strict=True)
    ]
    told = gaussian_log_densities(z.reshape(4, 5, 50), means, log_variances)
    np.testing.assert_allclose(told, np.stack(expected, axis=-1).reshape(4, 5, 7), rtol=1e-5)


def test_divergences_are_integrals_of_their_definition():
    parameters = np.asarray(jax.random.normal(jax.random.key(0), (6, 4)), np.float64)
    for mean, log_variance, other_mean, other_log_variance in parameters:
        one, other = stats.norm(mean, np.exp(log_variance / 2)), stats.norm(other_mean, np.exp(other_log_variance / 2))
        expected, _ = integrate.quad(lambda z: one.pdf(z) * (one.logpdf(z) - other.logpdf(z)), -30, 30, limit=200)  # noqa: B023
        np.testing.assert_allclose(
            gaussian_kl(mean, log_variance, other_mean, other_log_variance), expected, rtol=1e-4, atol=1e-6
        )


def test_a_distribution_does_not_diverge_from_itself():
    mean, log_variance = jax.random.normal(jax.random.key(0), (2, 5))
    np.testing.assert_array_equal(gaussian_kl(mean, log_variance, mean, log_variance), np.zeros(5))
    np.testing.assert_allclose(gaussian_kl(mean, log_variance), gaussian_kl(mean, log_variance, 0.0, 0.0))
