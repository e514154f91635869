"""The verb that restores images, as typed."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec, InputError
from jaxgen.cli import main as jaxgen
from jaxgen.data.image_file import read_image
from jaxgen.export import ExportInfo, export_restorer, load_restorer
from tests.programs import loaded, run_here

SPEC = ImageSpec(8, 6, 3)
RNG = np.random.default_rng(0)


def white_where_unknown(images, known):
    return jnp.where(known, images, 1.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that fills in white, with images beside it."""
    folder = tmp_path_factory.mktemp("run")
    export_restorer(lambda networks: white_where_unknown)(folder / "restorer", {}, ExportInfo(SPEC))
    for name, shape in (("a", (8, 6, 3)), ("grey", (8, 6)), ("small", (4, 3, 3)), ("other", (8, 8, 3))):
        Image.fromarray(RNG.integers(0, 200, shape, np.uint8)).save(folder / f"{name}.png")
    mask = np.full((8, 6), 255, np.uint8)
    mask[2:5, 1:] = 0
    Image.fromarray(mask).save(folder / "mask.png")
    np.savez(folder / "many.npz", image=RNG.integers(0, 200, (3, *SPEC), np.uint8))
    return folder


def typed(run, monkeypatch, image, *options):
    return run_here(monkeypatch, jaxgen, "restore", run, "--images", run / image, *options)


def test_what_the_mask_hides_is_filled_in_and_all_else_stays(run, tmp_path, monkeypatch):
    out = tmp_path / "new" / "out.png"
    assert typed(run, monkeypatch, "a.png", "--mask", run / "mask.png", "--out", out) == 0
    image, made, known = read_image(run / "a.png"), read_image(out), read_image(run / "mask.png")[..., 0] > 0
    np.testing.assert_array_equal(made[known], image[known])
    assert (made[~known] == 255).all()


def test_grey_images_small_ones_and_many(run, tmp_path, monkeypatch):
    out = tmp_path / "out.png"
    assert typed(run, monkeypatch, "grey.png", "--out", out) == 0
    np.testing.assert_array_equal(read_image(out), np.repeat(read_image(run / "grey.png"), 3, axis=2))
    assert typed(run, monkeypatch, "small.png", "--out", out) == 0
    np.testing.assert_array_equal(read_image(out), read_image(run / "small.png").repeat(2, 0).repeat(2, 1))
    assert typed(run, monkeypatch, "many.npz", "--out", tmp_path / "out.npz") == 0
    np.testing.assert_array_equal(loaded(tmp_path / "out.npz")["arr_0"], loaded(run / "many.npz")["image"])
    assert typed(run, monkeypatch, "many.npz", "--out", out) == 0


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        ("other.png", (), "other.png are 8x8x3; "),
        ("nothing", (), "--images "),
        ("a.png", ("--mask", "{run}/small.png"), "small.png is 4x3; expected 8x6"),
        ("a.png", ("--out", "a.gif"), "--out a.gif: expected a name that ends in .npz or .png"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, monkeypatch, capsys, image, options, message):
    monkeypatch.chdir(tmp_path)
    assert typed(run, monkeypatch, image, *(str(option).format(run=run) for option in options)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_run_that_restores_nothing_is_refused(tmp_path, monkeypatch, capsys):
    assert run_here(monkeypatch, jaxgen, "restore", tmp_path, "--images", "a.png") == 2
    assert "holds no restorer" in capsys.readouterr().err


def test_arrays_of_another_size_are_refused(run):
    restorer = load_restorer(run / "restorer")
    with pytest.raises(InputError, match=r"images are \[8, 8, 3\]"):
        restorer.restore(np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"mask is \[4, 3, 1\]"):
        restorer.restore(np.zeros((1, *SPEC), np.uint8), np.zeros((4, 3, 1), np.uint8))
