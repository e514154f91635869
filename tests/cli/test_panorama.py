"""`panorama`, as typed, by runs whose denoisers are exact."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import ImageSpec
from jaxgen.cli import main
from jaxgen.data import train_tokenizer
from jaxgen.data.image_file import read_image
from jaxgen.export import ExportInfo, export_denoiser
from jaxgen.models import features, labels, text
from jaxgen.models.diffusion import added_noise, linear
from tests.models.exact_diffusion import exact_model, gaussian_denoiser
from tests.programs import run_here

SPEC = ImageSpec(4, 8, 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of stationary images, narrow enough that none is clipped, and two whose grey is a label or a caption."""
    folder = tmp_path_factory.mktemp("run")
    row, column = (index.ravel() for index in np.indices(SPEC[:2]))
    distance = np.hypot(row[:, None] - row, column[:, None] - column)
    covariance = jnp.asarray(0.02 * np.exp(-distance / 3), jnp.float32)
    model = exact_model(gaussian_denoiser(linear(), jnp.zeros(SPEC), covariance), SPEC, linear())
    export_denoiser(added_noise(model))(folder / "denoiser", {}, ExportInfo(SPEC))

    def grey(x, sigma, label):
        return 0 * x + 0.25 * label.argmax(-1)[:, None, None, None]

    info = ExportInfo(SPEC, labels(3))
    export_denoiser(lambda networks: grey)(folder / "labelled" / "denoiser", {}, info)

    def counted(x, sigma, words):
        return 0 * x - 1 + 0.5 * (words > 0).sum(-1)[:, None, None, None]

    tokenizer = train_tokenizer(["a red heart"], length=4, size=8)
    info = ExportInfo(SPEC, text(4), tokenizer)
    export_denoiser(lambda networks: counted)(folder / "captioned" / "denoiser", {}, info)

    def shaded(x, sigma, features):
        return 0 * x + features.mean(-1)[:, None, None, None]

    export_denoiser(lambda networks: shaded)(folder / "shaded" / "denoiser", {}, ExportInfo(SPEC, features(2)))
    np.savez(folder / "two.npz", features=np.zeros((2, 2), np.float32))
    return folder


def typed(run, monkeypatch, out, *options):
    return run_here(monkeypatch, main, "panorama", run, "--steps", 4, "--out", out, *options)


def steps_between(picture, axis):
    """The root mean squares of the differences of neighbours along an axis, the first of them across the seam."""
    differences = np.square(np.diff(picture.astype(float), axis=axis, prepend=np.take(picture, [-1], axis)))
    return np.sqrt(differences.mean(tuple({0, 1, 2} - {axis})))


def test_what_wraps_has_no_seam(run, tmp_path, monkeypatch):
    out = tmp_path / "new" / "a.png"
    assert typed(run, monkeypatch, out, "--width", 64, "--height", 128, "--seed", 2) == 0
    picture = read_image(out)
    assert picture.shape == (128, 64, 1)
    rows, columns = steps_between(picture, 0), steps_between(picture, 1)
    # A mean of 128 or 64 squares of normal differences is within half of its value.
    assert columns[0] < 1.5 * columns[1:].mean()
    assert rows[0] > 1.5 * rows[1:].mean()
    assert typed(run, monkeypatch, out, "--width", 66, "--height", 128, "--tile", "--overlap", 2) == 0
    tile = read_image(out)
    for axis in (0, 1):
        steps = steps_between(tile, axis)
        assert steps[0] < 1.5 * steps[1:].mean()
    assert typed(run, monkeypatch, out, "--width", 64, "--height", 128, "--seed", 2) == 0
    np.testing.assert_array_equal(read_image(out), picture)


def test_a_sphere_has_the_band_at_its_equator(run, tmp_path, monkeypatch):
    out = tmp_path / "a.png"
    assert typed(run, monkeypatch, out, "--width", 24, "--solver", "dpm_solver_2m") == 0
    band = read_image(out)
    assert typed(run, monkeypatch, out, "--width", 24, "--solver", "dpm_solver_2m", "--equirectangular") == 0
    sphere = read_image(out)
    assert sphere.shape == (12, 24, 1)
    np.testing.assert_array_equal(sphere[4:8], band)


def test_a_caption_conditions_every_window(run, tmp_path, monkeypatch):
    out = tmp_path / "a.png"
    assert typed(run / "captioned", monkeypatch, out, "--width", 16, "--text", "red heart") == 0
    assert abs(read_image(out).astype(int) - 127.5).max() <= 1  # of two words: -1 + 2 / 2


def test_the_label_and_its_guidance_condition_every_window(run, tmp_path, monkeypatch):
    out = tmp_path / "a.png"
    # The null condition encodes to zeros, whose largest is the first: guidance goes from 0 to twice the label's grey,
    # or from that of the negative label.
    for options, grey in ((1,), 0.5), ((2,), 1.0), ((2, "--negative", 1), 0.75):
        words = "--width", 16, "--label", 2, "--guidance", *options
        assert typed(run / "labelled", monkeypatch, out, *words) == 0
        assert abs(read_image(out).astype(int) - 127.5 * (1 + grey)).max() <= 1


@pytest.mark.parametrize(
    ("folder", "options", "line"),
    [
        (".", ("--width", 6), "--width 6: windows of 8 that overlap by 4 cover at least 8 pixels"),
        (".", ("--width", 30), "--width 30: windows of 8 that overlap by 4 cover 28 or 32 pixels"),
        (".", ("--width", 32, "--height", 7), "--height 7: windows of 4 that overlap by 2 cover 6 or 8 pixels"),
        (".", ("--width", 32, "--overlap", 8), "Windows of 4 pixels cannot overlap by 8"),
        (".", ("--width", 0), "--width 0: expected"),
        (".", ("--width", 32, "--height", 20, "--equirectangular"), "at least twice its height; got 32 by 20"),
        (".", ("--width", 32, "--equirectangular", "--tile"), "the poles of a sphere do not meet"),
        (".", ("--width", 32, "--guidance", 2), "guidance strengthens a condition, and this run has none"),
        (".", ("--width", 32, "--label", 2), "is not conditioned on labels"),
        (".", ("--width", 32, "--steps", 1), "--steps 1: expected at least 2"),
        (".", ("--out", "a.jpg"), "--out a.jpg: expected a name that ends in .png"),
        ("labelled", ("--width", 32, "--label", 1, 2), "--label 1 2: a panorama has one label; got 2"),
        ("labelled", (), "--label: a panorama has one label; got 0"),
        ("labelled", ("--width", 32, "--label", 3), "--label 3"),
        ("captioned", ("--text", "red", "heart"), "--text red heart: a panorama has one caption; got 2"),
        ("captioned", (), "--text is missing"),
        ("shaded", ("--features", "{run}/two.npz"), "two.npz: a panorama has one row of features; got 2"),
        ("denoiser", (), "denoiser is no diffusion run, or exports no denoiser"),
        ("nothing", (), "nothing is no diffusion run, or exports no denoiser"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(run, tmp_path, monkeypatch, capsys, folder, options, line):
    monkeypatch.chdir(tmp_path)
    options = [str(option).format(run=run) for option in options]
    assert typed(run / folder, monkeypatch, "a.png", *options) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
