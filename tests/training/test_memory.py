"""What a training step needs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.core.parallel import by_jit, make_mesh
from jaxgen.data import make_dataset
from jaxgen.data.dataset import as_streamed
from jaxgen.training import memory
from jaxgen.training.memory import data_bytes, parameter_counts, peak_bytes, require_memory

KIB = jax.ShapeDtypeStruct((256,), jnp.float32)


def peak(function, *given):
    return peak_bytes(jax.make_jaxpr(function)(*given))


def three(a, b, c):
    return a * b * c


def test_results_live_until_they_are_last_read():
    # The sine and the product beside x; the sine is dead when the sum is made.
    assert peak(lambda x: (jnp.sin(x) * x).sum(), KIB) == 3 * 1024
    # A chain needs no more than two results at a time.
    assert peak(lambda x: jnp.sin(jnp.cos(jnp.sin(jnp.cos(x)))), KIB) == 3 * 1024
    # Three results wait, and then there is the product of two.
    assert peak(lambda x: three(jnp.sin(x), jnp.cos(x), jnp.tanh(x)), KIB) == 5 * 1024


def test_a_program_inside_counts_as_if_it_were_outside():
    def inner(x):
        y = jnp.sin(x)
        return y * jnp.cos(y)

    assert peak(jax.jit(inner), KIB) == peak(inner, KIB)


def test_the_branches_of_a_conditional_do_not_add_up():
    def one(x):
        return jnp.sin(jnp.cos(x))

    # Beside them the first element, as an array and as a number, and whether it is positive.
    both = peak(lambda x: jax.lax.cond(x[0] > 0, one, jnp.tanh, x), KIB)
    assert 0 < both - peak(one, KIB) < 16


def test_the_compiled_program_needs_about_as_much():
    def step(weights, image):
        def loss(weights):
            features = image
            for kernel in weights:
                features = jnp.tanh(features @ kernel)
            return jnp.square(features).sum()

        return jax.grad(loss)(weights)

    weights, image = [jnp.zeros((64, 64))] * 4, jnp.zeros((512, 64))
    compiled = jax.jit(step).lower(weights, image).compile().memory_analysis()
    actual = compiled.temp_size_in_bytes + compiled.argument_size_in_bytes
    assert 0.7 * actual < peak(step, weights, image) < 2.5 * actual


def test_too_much_is_refused_with_both_numbers(monkeypatch):
    program = jax.make_jaxpr(jnp.sin)(jax.ShapeDtypeStruct((2**28,), jnp.float32))
    monkeypatch.setattr(memory, "device_memory", lambda: 2.0 * 2**30)
    assert require_memory(program, "it") == 2 * 2**30
    monkeypatch.setattr(memory, "device_memory", lambda: 1.3 * 2**30)
    with pytest.raises(InputError, match=r"about 2\.0 GiB of memory, and there are 1\.3: make it smaller"):
        require_memory(program, "it")


def test_the_data_are_counted_once_for_each_device_that_holds_them(monkeypatch):
    dataset = make_dataset(np.zeros((9, 28, 28), np.uint8), np.zeros(9, int), source="black", split="train")
    strategy = by_jit(make_mesh())
    assert data_bytes(dataset, strategy) == 9 * (896 + 4)
    assert data_bytes(dataset, strategy._replace(copies=lambda num_bytes: 8 if num_bytes < 100 else 2)) == 9 * (
        2 * 896 + 8 * 4
    )
    assert data_bytes(as_streamed(dataset), strategy) == 0
    program = jax.make_jaxpr(jnp.sin)(KIB)
    assert require_memory(program, "it", 2**30) == 2**30 + 2 * 1024
    monkeypatch.setattr(memory, "device_memory", lambda: 0.9 * 2**30)
    with pytest.raises(InputError, match=r"memory, 1\.0 of it for the data set, .* 0\.9: make --memory-gib smaller"):
        require_memory(program, "it", 2**30)


def test_averages_and_what_has_no_parameters_are_not_counted():
    networks = {
        "generator": {"params": {"kernel": np.zeros((3, 4))}, "batch_stats": np.zeros(9)},
        "generator_ema": {"params": {"kernel": np.zeros((3, 4))}},
        "augmentation": {"adaptive": {"probability": np.zeros(())}},
    }
    assert parameter_counts(networks) == "generator 12"
