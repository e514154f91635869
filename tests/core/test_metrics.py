import jax
import jax.numpy as jnp
import pytest

from jaxgen import compute, mean, merge
from jaxgen.core.metrics import Mean, prefixed


def test_merging_equals_measuring_together():
    values = jax.random.normal(jax.random.key(0), (10,))
    parts = merge({"x": mean(values[:3])}, {"x": mean(values[3:])})
    assert compute(parts)["x"] == pytest.approx(float(values.mean()), rel=1e-6)


def test_merging_is_associative_and_has_an_identity():
    a, b, c = ({"x": mean(jnp.arange(float(n)))} for n in (2, 3, 5))
    assert compute(merge(merge(a, b), c)) == compute(merge(a, merge(b, c)))
    assert compute(merge(a, {})) == compute(a) == compute(merge({}, a))


def test_a_name_on_one_side_only_is_kept():
    merged = merge({"x": mean(jnp.ones(2))}, {"y": mean(jnp.zeros(2))})
    assert compute(merged) == {"x": 1.0, "y": 0.0}


def test_what_was_never_measured_is_neither_nan_nor_zero():
    nothing = Mean(jnp.zeros(()), jnp.zeros(()))
    assert compute({"skipped": nothing}) == {}
    assert compute(merge({"x": nothing}, {"x": mean(jnp.full(3, 7.0))})) == {"x": 7.0}


def test_metrics_are_float32_whatever_was_measured():
    assert mean(jnp.ones(3, jnp.bfloat16)).total.dtype == jnp.float32
    assert mean(jnp.ones(3, bool)).total.dtype == jnp.float32


def test_a_prefix_is_part_of_the_name():
    assert set(prefixed("a", {"b": mean(jnp.ones(1))})) == {"a/b"}
