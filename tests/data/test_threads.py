"""Work on many items by threads."""

import os
import threading

import pytest

from jaxgen.data.threads import AHEAD, CHUNK, by_threads, chunks_by_threads


def test_results_are_in_order_and_few_chunks_run_ahead():
    begun, most, lock = set(), (AHEAD * os.cpu_count() + 1) * CHUNK, threading.Lock()
    used = 0

    def do(number):
        with lock:
            begun.add(number)
        return number**2

    def use(results):
        nonlocal used
        used += len(results)
        with lock:
            assert max(begun) < used + most
        return results

    parts = chunks_by_threads(do, range(1_001), "Squaring", use)
    assert [result for part in parts for result in part] == [number**2 for number in range(1_001)]
    assert {len(part) for part in parts} == {CHUNK, 1_001 % CHUNK}


def test_the_first_error_in_order_is_raised_and_the_rest_is_left():
    begun = []

    def do(number):
        begun.append(number)
        return 1 / (number - 40)

    with pytest.raises(ZeroDivisionError):
        by_threads(do, range(100_000), "Dividing")
    assert len(begun) < 10_000
