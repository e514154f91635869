"""The verbs that steer a run's generator, as typed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec
from jaxgen.cli import main as jaxgen
from jaxgen.core.controls import Controls
from jaxgen.core.sampler import image_keys
from jaxgen.export import ExportInfo, export_controls, load_controls
from tests.programs import loaded, run_here

SPEC = ImageSpec(28, 28, 1)
WEIGHTS = jax.random.normal(jax.random.key(0), (5, 4, 28 * 28))
"""Of a generator with five layers, each of which adds to the image what it makes of four numbers of its own."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run directory with controls that can do everything."""
    controls = Controls(
        draw=lambda seed, index: jax.vmap(lambda key: jax.random.normal(key, (4,)))(image_keys(seed, index)),
        codes=lambda latents, _: jnp.repeat(latents[:, None], 5, axis=1),
        generate=lambda codes, latents, _: jnp.tanh(jnp.einsum("nlw,lwp->np", codes, WEIGHTS)).reshape(-1, *SPEC),
        first_layer=lambda codes: jnp.einsum("nlw,lwp->np", codes, WEIGHTS),
        logits=lambda images, _: jnp.square(images).sum((1, 2, 3)),
    )
    folder = tmp_path_factory.mktemp("run")
    export_controls(lambda networks: controls)(folder / "controls", {}, ExportInfo(SPEC))
    return folder


def size(rows, columns):
    return 2 * (2 + columns * 30), 2 * (2 + rows * 30)


@pytest.mark.parametrize(
    ("verb", "options", "rows", "columns"),
    [
        ("interpolate", ("--rows", 2, "--columns", 4), 2, 4),
        ("interpolate", ("--rows", 2, "--columns", 4, "--spherical"), 2, 4),
        ("truncate", ("--rows", 2, "--values", 0, 1), 2, 2),
        ("mix", ("--rows", 2, "--columns", 3, "--layer", 1), 3, 4),
        ("directions", ("--rows", 2, "--columns", 3), 2, 3),
        ("directions", ("--rows", 2, "--columns", 3, "--method", "ganspace"), 2, 3),
        ("saliency", ("--num", 3), 2, 3),
        ("invert", ("--num", 2, "--starts", 2, "--steps", 3), 2, 2),
    ],
)
def test_a_verb_leaves_a_picture(finished, tmp_path, monkeypatch, verb, options, rows, columns):
    out = tmp_path / "new" / "picture.png"
    assert run_here(monkeypatch, jaxgen, verb, finished, *options, "--out", out) == 0
    with Image.open(out) as picture:
        assert picture.size == size(rows, columns)


def test_an_animation_goes_there_and_back(finished, tmp_path, monkeypatch):
    out = tmp_path / "interpolations.gif"
    assert run_here(monkeypatch, jaxgen, "interpolate", finished, "--rows", 4, "--columns", 5, "--out", out) == 0
    with Image.open(out) as animation:
        assert (animation.size, animation.n_frames) == (size(2, 2), 8)


def test_the_codes_of_images_are_written(finished, tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (3, *SPEC), np.uint8)
    np.savez(tmp_path / "images.npz", image=images)
    options = ("--images", tmp_path / "images.npz", "--num", 2, "--starts", 2, "--steps", 20)
    assert run_here(monkeypatch, jaxgen, "invert", finished, *options, "--out", tmp_path / "i.png") == 0
    archive, controls = loaded(tmp_path / "i.npz"), load_controls(finished / "controls").controls
    np.testing.assert_array_equal(archive["images"], images[:2])
    assert archive["codes"].shape[0] == 2
    # Nearer than what it started from.
    latents = controls.draw(np.uint32(1), np.arange(4, dtype=np.int32))
    started = np.asarray(controls.generate(controls.codes(latents, {}), latents, {}))
    targets = images[:2] / 127.5 - 1
    nearest = np.square(started.reshape(2, 2, *SPEC) - targets).mean((2, 3, 4)).min(0)
    found = np.square(archive["drawn"] / 127.5 - 1 - targets).mean((1, 2, 3))
    assert (found < nearest).all()


def test_codes_that_cannot_be_written_are_an_error_before_anything_is_printed(finished, tmp_path, monkeypatch, capsys):
    (tmp_path / "i.npz").mkdir()
    options = ("--num", 1, "--starts", 1, "--steps", 1, "--out", tmp_path / "i.png")
    assert run_here(monkeypatch, jaxgen, "invert", finished, *options) == 2
    printed, error = capsys.readouterr()
    assert f"--out {tmp_path / 'i.npz'} cannot be written" in error
    assert "PSNR" not in printed
    assert not (tmp_path / "i.png").exists()


@pytest.mark.parametrize(
    ("verb", "options", "message"),
    [
        ("mix", ("--layer", 6), "--layer 6: expected 0 (all style) to 5 (all content)"),
        ("truncate", ("--values", 0.5, 1.5), "Truncation 1.5: expected 0"),
        ("directions", ("--rows", 9), "9 directions: expected 1 to 4"),
        ("interpolate", ("--label", 7), "is not conditioned on labels"),
        ("interpolate", ("--columns", 1), "--columns 1"),
        (
            "interpolate",
            ("--out", "interpolations.jpg"),
            "--out interpolations.jpg: expected a name that ends in .png or .gif",
        ),
        ("invert", ("--images", "nowhere.npz"), "nowhere.npz"),
        ("invert", ("--starts", 0), "--starts 0"),
        ("saliency", ("--num", 0), "--num 0"),
    ],
)
def test_a_mistake_is_one_line(finished, monkeypatch, capsys, verb, options, message):
    assert run_here(monkeypatch, jaxgen, verb, finished, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_run_without_controls_is_one_line(tmp_path, monkeypatch, capsys):
    assert run_here(monkeypatch, jaxgen, "interpolate", tmp_path) == 2
    assert "holds no controls" in capsys.readouterr().err
