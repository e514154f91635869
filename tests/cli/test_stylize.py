"""The verb that transfers styles, as typed."""

import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec
from jaxgen.cli import main as jaxgen
from jaxgen.data.image_file import read_image
from jaxgen.export import ExportInfo, export_stylizer
from tests.programs import run_here

RNG = np.random.default_rng(0)


def mean_colours(content, style, strength, mask):
    """The content moved by the difference of the mean colours."""
    shift = style.mean((1, 2), keepdims=True) - content.mean((1, 2), keepdims=True)
    return content + mask * strength[:, None, None, None] * shift


@pytest.fixture(scope="module", params=[1, 3])
def folder(request, tmp_path_factory):
    """A run of that many channels with images beside it."""
    folder = tmp_path_factory.mktemp("run")
    info = ExportInfo(ImageSpec(8, 8, request.param))
    export_stylizer(lambda networks: mean_colours)(folder / "stylizer", {}, info)
    for name, size, channels in (("a", (9, 14), request.param), ("b", (5, 6), request.param), ("colour", (4, 4), 3)):
        pixels = RNG.integers(96, 160, (*size, channels), np.uint8)
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(folder / f"{name}.png")
    mask = np.zeros((9, 14), np.uint8)
    mask[:, 7:] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    (folder / "text.png").write_text("no image")
    return folder


def typed(folder, monkeypatch, *options):
    return run_here(monkeypatch, jaxgen, "stylize", folder, "--content", folder / "a.png", *options)


def test_a_picture_of_the_size_of_the_content_takes_the_style_by_strength_and_mask(folder, tmp_path, monkeypatch):
    out, content, style = tmp_path / "new" / "c.png", read_image(folder / "a.png"), read_image(folder / "b.png")
    options = ("--style", folder / "b.png", "--strength", 0.5, "--mask", folder / "mask.png", "--out", out)
    assert typed(folder, monkeypatch, *options) == 0
    result, shift = read_image(out), style.mean((0, 1)) - content.mean((0, 1))
    assert result.shape == content.shape
    np.testing.assert_array_equal(result[:, :7], content[:, :7])
    np.testing.assert_allclose(result[:, 7:], content[:, 7:] + 0.5 * shift, atol=0.51)


def test_grey_images_are_coloured_ones_too_and_coloured_ones_are_not_grey(folder, tmp_path, monkeypatch, capsys):
    code = typed(folder, monkeypatch, "--style", folder / "colour.png", "--out", tmp_path / "c.png")
    is_grey = read_image(folder / "a.png").shape[-1] == 1
    assert code == (2 if is_grey else 0)
    assert ("is in colour, and the run was trained on grey images" in capsys.readouterr().err) == is_grey
    assert typed(folder, monkeypatch, "--style", folder / "mask.png", "--out", tmp_path / "c.png") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strength", 1.5), "--strength 1.5: expected a number from 0 to 1"),
        (("--strength", "nan"), "--strength nan"),
        (("--mask", "b.png"), "b.png is 5x6; expected 9x14, the size of --content"),
        (("--content", "text.png"), "text.png cannot be read as an image"),
        (("--style", "nowhere.png"), "nowhere.png cannot be read"),
        (("--out", "c.jpg"), "c.jpg: expected a name that ends in .png"),
    ],
)
def test_a_mistake_is_one_line(folder, monkeypatch, capsys, options, message):
    monkeypatch.chdir(folder)
    assert typed(folder, monkeypatch, "--style", "b.png", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_run_of_another_kind_is_one_line(folder, tmp_path, monkeypatch, capsys):
    pictures = ("--content", folder / "a.png", "--style", folder / "b.png")
    for place, message in ((tmp_path, "holds no style transfer"), (tmp_path / "nowhere", "is not a run directory")):
        assert run_here(monkeypatch, jaxgen, "stylize", place, *pictures) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
