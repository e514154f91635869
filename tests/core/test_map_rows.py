"""Functions of rows on one device; tests/evaluation/eight_devices.py has more devices."""

import jax
import numpy as np
import pytest

from jaxgen.core import map_rows as module
from jaxgen.core.map_rows import LEAST, map_rows, rows_per_device

ROWS = {"a": np.arange(7, dtype=np.int32), "b": np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10])
def test_any_number_of_rows_is_computed_a_few_at_a_time(size):
    shapes = []

    def function(factor, rows):
        shapes.append(rows["b"].shape)
        return {"product": factor * rows["a"][:, None] * rows["b"], "label": rows["a"]}

    results = map_rows(function)(np.float32(2), ROWS, size=size, what="Multiplying")
    np.testing.assert_array_equal(results["product"], 2 * ROWS["a"][:, None].astype(np.float32) * ROWS["b"])
    np.testing.assert_array_equal(results["label"], ROWS["a"])
    assert results["label"].dtype == np.int32
    assert shapes == [(size, 3)]  # compiled once


def test_whole_numbers_of_64_bits_have_the_type_that_devices_give_them():
    numbers = np.arange(5)
    found = map_rows(lambda _, row: row + 1)((), numbers, size=4, what="Adding")
    np.testing.assert_array_equal(found, numbers + 1)
    assert found.dtype == jax.device_put(numbers).dtype


def test_a_function_is_compiled_once_for_all_calls():
    traced = []
    double = map_rows(lambda _, row: traced.append(row.shape) or 2 * row)
    for num in (3, 5, 0, 7):
        np.testing.assert_array_equal(double((), ROWS["a"][:num], size=4, what="Doubling"), 2 * ROWS["a"][:num])
    assert traced == [(4,)]


def test_an_accelerator_computes_at_least_128_rows_at_a_time(monkeypatch):
    assert rows_per_device(64) == 64

    class Accelerator:
        platform = "tpu"

    monkeypatch.setattr(module.jax, "local_devices", lambda: [Accelerator()])
    assert rows_per_device(64) == LEAST == 128
    assert rows_per_device(500) == 500


def test_results_lie_on_the_host():
    assert not isinstance(map_rows(lambda _, row: row)((), ROWS["a"], size=7, what="Nothing"), jax.Array)
