"""`restore --task`, as typed: several restorations of an image, by a run whose denoiser is exact."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec
from jaxgen.cli import main as jaxgen
from jaxgen.data.image_file import read_image
from jaxgen.export import ExportInfo, export_denoiser, save_grid
from jaxgen.models import labels
from jaxgen.models.diffusion import added_noise, linear
from jaxgen.models.image_to_image.tasks import blurred
from tests.models.exact_diffusion import exact_model, gaussian_denoiser
from tests.programs import loaded, run_here

SPEC = ImageSpec(4, 6, 3)
SIZE = 72
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of smooth grey images, narrow enough that none is clipped, with degraded images beside it."""
    folder = tmp_path_factory.mktemp("run")
    covariance = 0.02 * jnp.eye(SIZE) + 0.01
    model = exact_model(gaussian_denoiser(linear(), jnp.zeros(SPEC), covariance), SPEC, linear())
    export_denoiser(added_noise(model))(folder / "denoiser", {}, ExportInfo(SPEC))
    for name, shape in {"a": (4, 6, 3), "grey": (4, 6), "small": (2, 3, 3), "third": (1, 2, 3)}.items():
        Image.fromarray(RNG.integers(100, 156, shape, np.uint8)).save(folder / f"{name}.png")
    mask = np.full((4, 6), 255, np.uint8)
    mask[1:3, 2:] = 0
    Image.fromarray(mask).save(folder / "mask.png")
    np.savez(folder / "many.npz", image=RNG.integers(100, 156, (2, *SPEC), np.uint8))
    return folder


def typed(run, monkeypatch, image, *options):
    return run_here(monkeypatch, jaxgen, "restore", run, "--images", run / image, "--steps", 8, *options)


def drawn(run, monkeypatch, out, image, *options):
    assert typed(run, monkeypatch, image, "--out", out, *options) == 0
    return loaded(out)["arr_0"]


def test_known_pixels_stay_and_the_others_differ(run, tmp_path, monkeypatch):
    task = ("--task", "inpaint", "--mask", run / "mask.png")
    four = drawn(run, monkeypatch, tmp_path / "a.npz", "a.png", "--num", 4, *task)
    image, known = read_image(run / "a.png"), read_image(run / "mask.png")[..., 0] > 0
    assert four.shape == (4, *SPEC)
    np.testing.assert_array_equal(four[:, known], np.broadcast_to(image[known], four[:, known].shape))
    assert four[:, ~known].std(0).mean() > 3  # of about 0.15 of 127.5
    # Restoration j is the same, however many there are.
    two = drawn(run, monkeypatch, tmp_path / "b.npz", "a.png", "--num", 2, *task)
    np.testing.assert_allclose(two, four[:2], atol=1)
    many = drawn(run, monkeypatch, tmp_path / "c.npz", "many.npz", "--num", 3, *task)
    assert many.shape == (6, *SPEC)
    other = drawn(run, monkeypatch, tmp_path / "d.npz", "a.png", "--num", 2, "--seed", 1, *task)
    assert (other != two).any()


def test_large_images_have_the_means_of_the_small_one(run, tmp_path, monkeypatch):
    three = drawn(run, monkeypatch, tmp_path / "a.npz", "small.png", "--num", 3, "--task", "super_resolve_x2")
    means = three.reshape(3, 2, 2, 3, 2, 3).mean((2, 4))
    # Each of the four pixels is rounded by at most a half.
    assert (abs(means - read_image(run / "small.png")) <= 0.5).all()
    assert three.std(0).max() > 3


def test_colours_have_the_luma_of_the_grey_image(run, tmp_path, monkeypatch):
    two = drawn(run, monkeypatch, tmp_path / "a.npz", "grey.png", "--num", 2, "--task", "colourise")
    luma = (two * np.array([0.299, 0.587, 0.114])).sum(-1, keepdims=True)
    assert (abs(luma - read_image(run / "grey.png")) <= 0.51).all()
    assert np.ptp(two, axis=-1).max() > 3


def test_sharpened_images_blurred_again_are_the_blurred_one(run, tmp_path, monkeypatch):
    sharp = 127.5 + 20 * np.random.default_rng(1).standard_normal(SPEC)
    image = np.rint(np.asarray(blurred(sharp[None].astype(np.float32), 0.6))[0]).astype(np.uint8)
    Image.fromarray(image).save(run / "blurred.png")
    three = drawn(run, monkeypatch, tmp_path / "a.npz", "blurred.png", "--num", 3, "--task", "deblur_0.6")
    assert (abs(np.asarray(blurred(three.astype(np.float32), 0.6)) - image) < 2).all()
    assert abs(three.astype(float) - sharp).mean() < abs(image - sharp).mean() / 2


def test_noise_is_removed_as_the_posterior_says(run, tmp_path, monkeypatch):
    many = drawn(run, monkeypatch, tmp_path / "a.npz", "a.png", "--num", 200, "--task", "denoise_0.2", "--steps", 64)
    y = np.asarray(read_image(run / "a.png"), np.float64).ravel() / 127.5 - 1
    covariance = 0.02 * np.eye(SIZE) + 0.01
    gain = covariance @ np.linalg.inv(covariance + 0.04 * np.eye(SIZE))
    deviation = np.sqrt(np.diag(covariance - gain @ covariance))
    mean = many.reshape(200, -1).mean(0) / 127.5 - 1
    # The solver is of the first order: with 64 steps it is good to a tenth of the deviation.
    assert (abs(mean - gain @ y) < deviation * (4.5 / np.sqrt(200) + 0.1)).all()
    spread = (many.reshape(200, -1) / 127.5).std(0)
    assert (abs(spread / deviation - 1) < 4.5 / np.sqrt(400) + 0.1).all()


def test_a_picture_has_a_row_for_each_image_that_begins_with_it(run, tmp_path, monkeypatch):
    options = ("--num", 2, "--task", "denoise_0.2")
    two = drawn(run, monkeypatch, tmp_path / "a.npz", "many.npz", *options).reshape(2, 2, *SPEC)
    assert typed(run, monkeypatch, "many.npz", *options, "--out", tmp_path / "made.png") == 0
    rows = np.concatenate([loaded(run / "many.npz")["image"][:, None], two], axis=1).reshape(6, *SPEC)
    save_grid(tmp_path / "expected.png", rows, columns=3)
    np.testing.assert_array_equal(read_image(tmp_path / "made.png"), read_image(tmp_path / "expected.png"))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        ("a.png", ("--task", "sharpen"), "--task sharpen: expected inpaint, colourise, super_resolve_x2"),
        *(
            ("a.png", ("--task", f"denoise_{deviation}"), "expected a standard deviation from 0.001 to 80")
            for deviation in ("0", "0.0009", "81")
        ),
        ("a.png", ("--task", "deblur_0.2"), "expected a standard deviation from 0.3 to 100 pixels"),
        ("a.png", ("--task", "inpaint"), "--task inpaint: --mask says which pixels are known"),
        ("a.png", ("--task", "denoise_0.2", "--mask", "{run}/mask.png"), "--task denoise_0.2 takes no mask"),
        ("small.png", ("--task", "denoise_0.2"), "small.png are 2x3x3; "),
        ("small.png", ("--task", "super_resolve_x3"), "or 3 times smaller"),
        ("a.png", ("--task", "super_resolve_x4"), "A factor of 4 does not divide images of 4x6"),
        ("a.png", ("--task", "denoise_0.2", "--num", "0"), "--num"),
        ("a.png", (), "--steps belongs to --task"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, monkeypatch, capsys, image, options, message):
    monkeypatch.chdir(tmp_path)
    assert typed(run, monkeypatch, image, *(str(option).format(run=run) for option in options)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_runs_that_cannot_restore_say_so(run, tmp_path, monkeypatch, capsys):
    assert run_here(monkeypatch, jaxgen, "restore", run, "--images", run / "a.png") == 2
    assert "is a diffusion run: say what was done" in capsys.readouterr().err
    assert typed(tmp_path, monkeypatch, run / "a.png", "--task", "denoise_0.2") == 2
    assert "run, or exports no denoiser: a flow of latent maps restores no images" in capsys.readouterr().err
    for name, spec, conditions, message in (
        ("grey", ImageSpec(4, 6, 1), {}, "this run has images of one channel"),
        ("labels", SPEC, labels(3), "denoiser is conditioned on label; images are restored by a run without"),
    ):
        folder = tmp_path / name
        export_denoiser(lambda networks: lambda x, t, *condition: x)(
            folder / "denoiser", {}, ExportInfo(spec, conditions)
        )
        assert typed(folder, monkeypatch, run / "grey.png", "--task", "colourise") == 2
        assert message in capsys.readouterr().err
