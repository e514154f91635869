import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgen.data import batch_indices


@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(1, 20), st.integers(20, 60))
def test_a_batch_is_a_slice_of_the_endless_stream(seed, step, size, examples):
    one = batch_indices(seed, step, size, examples)
    by_ones = [batch_indices(seed, step * size + n, 1, examples)[0] for n in range(size)]
    assert one.tolist() == by_ones
    assert one.dtype == np.int32


@pytest.mark.parametrize(("size", "examples"), [(7, 30), (30, 30), (64, 30)])
def test_an_epoch_sees_every_example_once_and_the_next_one_in_another_order(size, examples):
    stream = np.concatenate([batch_indices(3, step, size, examples) for step in range(2 * examples)])
    first, second = stream[:examples], stream[examples : 2 * examples]
    assert sorted(first) == sorted(second) == list(range(examples))
    assert first.tolist() != second.tolist()


def test_seeds_give_different_orders():
    assert batch_indices(0, 0, 30, 30).tolist() != batch_indices(1, 0, 30, 30).tolist()
