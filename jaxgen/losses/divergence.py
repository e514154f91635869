"""Divergences and densities of normal distributions with diagonal covariance.

    (1) log N(z; m, v)                  = -1/2 sum [(z - m)^2 / v + log(2 pi v)]
    (2) KL(N(m, v) || N(0, 1))          =  1/2 sum [m^2 + v - log v - 1]
    (3) KL(N(m, v) || N(n, w))          =  1/2 sum [(m - n)^2 / w + v / w - log(v / w) - 1]

Variances are passed as logarithms.  Functions return the terms of the sum, in nats for each dimension, with the
broadcast shape of the arguments; `gaussian_log_densities` alone sums.
"""

import math

import jax
import jax.numpy as jnp

from jaxgen.core.types import Array


def gaussian_log_density(z: Array, mean: Array | float = 0.0, log_variance: Array | float = 0.0) -> Array:
    """The log density of each dimension, the terms of (1)."""
    return -0.5 * (jnp.square(z - mean) * jnp.exp(-jnp.asarray(log_variance)) + log_variance + math.log(2 * math.pi))


@jax.custom_jvp
def gaussian_log_densities(z: Array, means: Array, log_variances: Array) -> Array:
    """The log density (1) of each vector [..., Z] under each of K normals [K, Z]: [..., K].

    Neither the value nor the gradient stores all K Z differences of a vector: the value scans the Z dimensions, and
    the gradient consists of matrix products, whose relative error is about 1e-6 divided by the variances.
    """

    def distances(value: Array, mean: Array, deviation: Array) -> Array:
        return jnp.square((value[..., None] - mean) / deviation)

    def add(total: Array, dimension: tuple[Array, Array, Array]) -> tuple[Array, None]:
        return total + distances(*dimension), None

    columns = jnp.moveaxis(z, -1, 0), means.T, jnp.exp(log_variances / 2).T
    first = distances(*jax.tree.map(lambda column: column[0], columns))
    # `sum` accumulates in float32 at least; so does this.
    wide = first.astype(jnp.promote_types(first.dtype, jnp.float32))
    total, _ = jax.lax.scan(add, wide, jax.tree.map(lambda column: column[1:], columns))
    return -0.5 * (total.astype(first.dtype) + (log_variances + math.log(2 * math.pi)).sum(-1))


def _multiplied_log_densities(z: Array, means: Array, log_variances: Array) -> Array:
    # For narrow normals large terms cancel: accurate enough for a gradient, but not for a value, nor in low precision.
    precisions = jnp.exp(-log_variances)

    def product(vectors: Array, matrix: Array) -> Array:
        return jnp.matmul(vectors, matrix.T, precision=jax.lax.Precision.HIGHEST)

    distances = product(jnp.square(z), precisions) - 2 * product(z, means * precisions)
    constants = (jnp.square(means) * precisions + log_variances + math.log(2 * math.pi)).sum(-1)
    return -0.5 * (distances + constants)


@gaussian_log_densities.defjvp
def _tangent(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    return gaussian_log_densities(*primals), jax.jvp(_multiplied_log_densities, primals, tangents)[1]


def gaussian_kl(
    mean: Array, log_variance: Array, other_mean: Array | float = 0.0, other_log_variance: Array | float = 0.0
) -> Array:
    """The divergence in each dimension: the terms of (3), by default those of (2).

    >>> float(gaussian_kl(jnp.ones(()), jnp.zeros(())))
    0.5
    """
    difference = log_variance - other_log_variance
    distance = jnp.square(mean - other_mean) * jnp.exp(-jnp.asarray(other_log_variance))
    return 0.5 * (distance + jnp.expm1(difference) - difference)
