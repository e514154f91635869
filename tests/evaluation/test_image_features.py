"""Features of images, and from the command line to images drawn for them."""

import json

import numpy as np
import pytest

from jaxgen import ImageSpec, InputError
from jaxgen.cli import main as jaxgen
from jaxgen.data import load, read_features
from jaxgen.evaluation import packaged_network
from jaxgen.evaluation.image_features import describe, relative_distance, with_features
from jaxgen.export import save_image
from tests.programs import ROOT, load_program, run_here

program = load_program(ROOT / "experiments" / "features_to_image.py")


def test_a_palette_has_the_colours_of_an_image_by_their_shares():
    image = np.zeros((1, 4, 5, 3), np.uint8)
    image[:, :, 1:4], image[:, :, 4:] = (255, 0, 0), (0, 0, 255)
    palette = describe(image, "palette").reshape(6, 4)
    np.testing.assert_allclose(palette[0], [1, -1, -1, 0.6], atol=0.02)
    others = palette[1:3][palette[1:3, 2].argsort()]  # as frequent as each other
    np.testing.assert_allclose(others, [[-1, -1, -1, 0.2], [-1, -1, 1, 0.2]], atol=0.02)
    np.testing.assert_array_equal(palette[3:], 0)


def test_edges_are_steps_wherever_they_are_and_nothing_else():
    image = np.full((1, 8, 6, 1), 10, np.uint8)
    assert (describe(image, "edges") == 0).all()
    image[:, :, 3:] = 255
    edges = describe(image, "edges").reshape(4, 3)
    np.testing.assert_allclose(edges[:, 1], 245 / 255, rtol=1e-6)  # the pixels on both sides of the step
    np.testing.assert_array_equal(edges[:, 0], 0)
    both = describe(np.concatenate([image, np.zeros_like(image)]), "edges")
    np.testing.assert_array_equal(both, [edges.ravel(), np.zeros(12)])  # images are not mixed
    turned = describe(np.swapaxes(image, 1, 2), "edges").reshape(3, 4)
    np.testing.assert_allclose(turned, edges.T, rtol=1e-6)


def test_palettes_are_compared_colour_by_colour_whatever_their_order():
    def palette(**shares):
        colours = [[*3 * [{"black": -1, "grey": 0, "white": 1}[name]], share] for name, share in shares.items()]
        return np.array(colours + (6 - len(colours)) * [4 * [0]], np.float32).ravel()

    grey = palette(grey=1)
    target = np.stack([palette(black=0.5, white=0.5), grey])
    swapped = np.stack([palette(white=0.5, black=0.5), grey])
    assert relative_distance(target, swapped, kind="palette") == 0
    # A quarter of the first image's pixels goes from black to white, twice as far as all of them are from grey.
    third = np.stack([palette(white=0.75, black=0.25), grey])
    assert relative_distance(target, third, kind="palette") == pytest.approx(0.25 * 2 / 2, rel=1e-5)


def test_the_relative_distance_is_zero_to_the_target_and_one_to_other_images():
    target = np.random.default_rng(0).normal(size=(2_000, 5))
    assert relative_distance(target, target) == 0
    assert relative_distance(target, np.random.default_rng(1).normal(size=(2_000, 5))) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("spec", [(28, 28, 1), (32, 32, 3), (4, 6, 1)])
def test_an_embedding_is_the_features_of_the_packaged_classifier(spec):
    images = np.random.default_rng(0).integers(0, 256, (3, *spec), np.uint8)
    expected = packaged_network(ImageSpec(*spec)).extract(images).features
    np.testing.assert_array_equal(describe(images, "embedding"), expected)


def test_images_without_such_features_are_refused():
    with pytest.raises(InputError, match="expected palette, edges, embedding"):
        describe(np.zeros((1, 4, 4, 1), np.uint8), "smell")
    with pytest.raises(InputError, match="are equal"):
        relative_distance(np.ones((3, 2)), np.ones((3, 2)))


def test_large_squares_are_described_as_the_experiment_does(tmp_path, monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    np.savez(tmp_path / "images.npz", image=image)
    assert run_here(monkeypatch, jaxgen, "describe", tmp_path / "images.npz", "--out", tmp_path / "f.npz") == 0
    dataset = load(str(tmp_path / "images.npz"))
    np.testing.assert_array_equal(read_features(tmp_path / "f.npz"), with_features(dataset, "edges").arrays["features"])
    assert read_features(tmp_path / "f.npz").shape == (2, 16 * 16)


@pytest.mark.long
def test_images_are_drawn_for_the_features_of_others(tmp_path, monkeypatch, capsys):
    rng, out = np.random.default_rng(0), tmp_path / "run"
    np.savez(tmp_path / "images.npz", image=rng.integers(0, 256, (30, 8, 8, 3), np.uint8))
    small = ("--width", 2, "--latent-size", 2, "--batch-size", 8, "--sample-every", 60)
    options = (*small, "--kind", "palette", "--data", tmp_path / "images.npz")
    assert run_here(monkeypatch, program.main, *options, "--steps", 2, "--out", out) == 0
    ratio = json.loads((out / "likeness.json").read_text())["palette"]["relative distance"]
    assert f"{ratio:.4g}" in capsys.readouterr().out
    assert (out / "likenesses.png").is_file()
    (tmp_path / "folder").mkdir()
    save_image(tmp_path / "folder" / "a.png", rng.integers(0, 256, (8, 8, 3), np.uint8))
    features = tmp_path / "features.npz"
    assert run_here(monkeypatch, jaxgen, "describe", tmp_path / "folder", "--kind", "palette", "--out", features) == 0
    image = load(str(tmp_path / "folder")).arrays["image"]
    np.testing.assert_array_equal(read_features(features), describe(image, "palette"))
    drawn = tmp_path / "drawn.npz"
    assert run_here(monkeypatch, jaxgen, "sample", out, "--features", features, "--num", 3, "--out", drawn) == 0
    assert np.load(drawn)["arr_0"].shape == (3, 8, 8, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "features.png"), "--out features.png: expected a name that ends in .npz"),
        (("--num", 0), "--num 0: expected at least 1"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, options, message):
    np.savez(tmp_path / "images.npz", image=np.zeros((2, 8, 8, 1), np.uint8))
    monkeypatch.chdir(tmp_path)
    assert run_here(monkeypatch, jaxgen, "describe", tmp_path / "images.npz", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "features.npz").exists()
