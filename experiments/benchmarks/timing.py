"""How long a program takes."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Turn(NamedTuple):
    """Runs `steps` steps `calls` times, and waits for them."""

    run: Callable[[int], Any]
    steps: int = 1


def seconds_of(turn: Turn, calls: int) -> float:
    """Seconds per step."""
    began = time.perf_counter()
    turn.run(calls)
    return (time.perf_counter() - began) / (calls * turn.steps)


def product_rate(dtype: str, side: int = 2_048) -> float:
    """Operations per second of a large matrix product: an upper bound of a step's rate."""
    matrix = jnp.ones((side, side), dtype)
    product = jax.jit(jnp.matmul)
    product(matrix, matrix).block_until_ready()
    turn = Turn(lambda calls: [product(matrix, matrix).block_until_ready() for _ in range(calls)])
    return 2 * side**3 / statistics.median(seconds_of(turn, 3) for _ in range(7))
