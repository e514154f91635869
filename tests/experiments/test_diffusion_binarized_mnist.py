"""The likelihood of binarised digits under a diffusion model."""

import json

import jax
import numpy as np
import pytest

from tests.prepared import write_binarized
from tests.programs import ROOT, load_program, run_here

program = load_program(ROOT / "experiments" / "diffusion_binarized_mnist.py")


def test_before_training_pixels_are_fair_coins():
    # The network is 0 at first, so that the denoiser is exact for pixels that say nothing of each other.
    spec = program.ImageSpec(8, 8, 1)
    model = program.make_model(program.Config(width=4), spec)
    networks = model.init(jax.random.key(0), spec)
    networks["denoiser_ema"] = networks["denoiser"]
    images = 255 * np.random.default_rng(0).integers(0, 2, (100, *spec), np.uint8)
    measures = program.measure(model, networks, images, 32)
    nats = measures[program.BOUND]
    assert nats.value == pytest.approx(64 * np.log(2), abs=4.5 * nats.standard_error)
    assert nats.standard_error < 0.5


def test_without_noise_the_denoiser_is_the_identity_with_finite_gradients():
    # Solvers evaluate it there, and inversion and guidance differentiate them.
    spec = program.ImageSpec(8, 8, 1)
    model = program.make_model(program.Config(width=4), spec)
    networks = model.init(jax.random.key(0), spec)
    images = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (2, *spec)).astype(np.float32)

    def total(images):
        denoised = model.denoiser(networks)(images, np.zeros(2, np.float32))
        return denoised.sum(), denoised

    gradient, denoised = jax.jit(jax.grad(total, has_aux=True))(images)
    np.testing.assert_array_equal(denoised, images)  # that of grey is 0 too: the network is 0 at first
    assert np.isfinite(gradient).all()


@pytest.mark.long
def test_the_bound_of_the_test_digits_is_written(tmp_path, monkeypatch, capsys):
    write_binarized(tmp_path)
    options = ("--width", 4, "--batch-size", 4, "--steps", 20, "--log-every", 10, "--levels", 2)
    folders = ("--data-dir", tmp_path, "--out", tmp_path / "run")
    assert run_here(monkeypatch, program.main, *options, *folders) == 0
    nats = json.loads((tmp_path / "run" / "test.json").read_text())["test"][program.BOUND]
    assert f"{nats['value']:.4g} ± {nats['standard_error']:.2g}" in capsys.readouterr().out
