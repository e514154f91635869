"""The types and the precision in which a training step computes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.core.precision import at_precision
from jaxgen.evaluation.network import in_chunks
from tests.programs import ROOT, TINY, load_program, run_here, write_images
from tests.training import toy_experiment

gan_mnist = load_program(ROOT / "experiments" / "gan_mnist.py")


def test_a_precision_is_that_of_every_product_inside():
    def product(first, second):
        return jax.grad(lambda array: jnp.sin(array @ second).sum())(first)

    square = jnp.ones((3, 3))
    counts = [str(jax.make_jaxpr(function)(square, square)).count("HIGHEST") for function in (product, exact(product))]
    assert counts == [0, 4]  # two products, each with the precision of both of its arrays


def exact(function):
    return at_precision("highest", function)


def test_feature_networks_are_exact_on_any_device():
    precisions = []

    def extract(image):
        program = jax.make_jaxpr(lambda array: array @ array.T)(image.reshape(len(image), -1).astype(jnp.float32))
        precisions.append("HIGHEST" in str(program))
        return jnp.zeros((len(image), 1)), None

    in_chunks(extract)(np.zeros((2, 4, 4, 1), np.uint8))
    assert precisions == [True]


def test_a_run_computes_in_its_dtype_at_its_precision_and_keeps_float32_parameters(tmp_path, monkeypatch):
    images, recipes = write_images(tmp_path / "images.npz"), []
    for number, options in enumerate([("--dtype", "bfloat16"), ("--matmul-precision", "highest"), ()]):
        out = tmp_path / str(number)
        arguments = (*TINY, "--data", images, "--out", out, "--steps", 1, *options)
        assert run_here(monkeypatch, gan_mnist.main, *arguments) == 0
        recipes.append(json.loads((out / "config.json").read_text())["recipe"])
        leaves = json.loads((out / "checkpoints" / "1" / "manifest.json").read_text())["content"]["leaves"]
        assert "bfloat16" not in str(leaves)
    assert len(set(recipes)) == 3


@pytest.mark.parametrize(
    ("main", "dtype", "line"),
    [
        (toy_experiment.main, "bfloat16", "--dtype bfloat16: this experiment's networks do not compute in it"),
        (gan_mnist.main, "float16", "--dtype float16: expected float32 or bfloat16; float16 would need"),
    ],
)
def test_a_dtype_that_is_not_used_is_refused(data, tmp_path, monkeypatch, capsys, main, dtype, line):
    assert run_here(monkeypatch, main, "--data", data, "--out", tmp_path / "run", "--dtype", dtype) == 2
    assert capsys.readouterr().err.startswith(f"error: {line}")
    assert not (tmp_path / "run").exists()
