"""Conditions: from the data to the command line."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec, InputError, Sampler
from jaxgen.cli import main as jaxgen
from jaxgen.core.condition import conditioning, example_conditioning, features, images, labels, require_conditions, text
from jaxgen.data import load
from jaxgen.export import ExportInfo, export_sampler, load_sampler
from jaxgen.training.grids import grid_fields
from tests.programs import ROOT, TINY, load_program, loaded, run_here

SPEC = ImageSpec(2, 3, 1)


def test_labels_are_one_hot_and_features_themselves():
    np.testing.assert_array_equal(conditioning(labels(3), {"label": jnp.array([2, 0])})[0], [[0, 0, 1], [1, 0, 0]])
    vectors = jnp.array([[0.5, -1.0]])
    np.testing.assert_array_equal(conditioning(features(2), {"features": vectors})[0], vectors)
    assert conditioning({}, {"label": jnp.array([2])}) == ()


@pytest.mark.parametrize("condition", [labels, features])
def test_nothing_is_no_condition(condition):
    with pytest.raises(ValueError, match="expected at least 1"):
        condition(0)


FIELDS = {
    "label": jnp.array([1]),
    "text": jnp.array([[4, 5, 0]]),
    "features": jnp.array([[0.5]]),
    "image": jnp.full((1, *SPEC), 255, jnp.uint8),
}


def test_conditions_compose_to_images_tokens_and_one_vector():
    image, tokens, vectors = conditioning(labels(2) | text(3) | features(1) | images(SPEC), FIELDS)
    np.testing.assert_array_equal(image, jnp.ones((1, *SPEC)))
    np.testing.assert_array_equal(tokens, [[4, 5, 0]])
    np.testing.assert_array_equal(vectors, [[0, 1, 0.5]])
    _, vectors = conditioning(features(1) | text(3) | labels(2), FIELDS)
    np.testing.assert_array_equal(vectors, [[0.5, 0, 1]])
    assert [array.shape for array in example_conditioning(labels(2) | text(3) | features(1), 4)] == [(4, 3), (4, 3)]


def test_a_missing_field_is_named():
    with pytest.raises(TypeError, match="condition 'label' is missing; the fields given are: 'text'"):
        conditioning(text(3) | labels(2), {"text": FIELDS["text"]})
    with pytest.raises(TypeError, match="are: none"):
        conditioning(labels(2), {})


@pytest.mark.parametrize(("conditions", "fields"), [({}, {"label": jnp.zeros(1, jnp.int32)}), (labels(2), {})])
def test_a_sampler_takes_the_fields_of_its_conditions_and_no_others(conditions, fields):
    sampler = Sampler(lambda networks, keys, fields: jnp.zeros((len(keys), *SPEC)), conditions)
    with pytest.raises(TypeError, match="its conditions are"):
        sampler({}, jax.random.split(jax.random.key(0), 1), **fields)


LABEL = {"label": ((), np.dtype(np.int32))}


@pytest.mark.parametrize(
    ("condition", "fields", "arrays", "message"),
    [
        (labels(2), {}, {}, "have no 'label'"),
        (labels(2), LABEL, {"label": np.array([0, 1, 2])}, "label 2 is not a class: expected 0 to 1"),
        (labels(2), LABEL, {"label": np.array([0, -1])}, "label -1 is not a class"),
        (features(3), {"features": ((4,), np.dtype(np.float32))}, {}, r"is \[4\] an image; expected \[3\]"),
    ],
)
def test_data_without_the_field_of_a_condition_are_refused(condition, fields, arrays, message):
    with pytest.raises(InputError, match=message):
        require_conditions(condition, fields, arrays)


def export_shade(folder, conditions):
    """A sampler whose images are as bright as the first number of the conditioning vector, whatever the key."""

    def draw(networks, keys, fields):
        (vectors,) = conditioning(conditions, fields)
        return jnp.broadcast_to(vectors[:, :1, None, None], (keys.shape[0], *SPEC)) * networks["scale"]

    export_sampler(Sampler(draw, conditions))(folder, {"scale": jnp.float32(1)}, ExportInfo(SPEC))


def export_grey(folder):
    """An unconditional sampler of grey images."""
    sampler = Sampler(lambda networks, keys, fields: jnp.zeros((keys.shape[0], *SPEC)))
    export_sampler(sampler)(folder, {}, ExportInfo(SPEC))


def test_an_exported_sampler_takes_labels(tmp_path):
    export_shade(tmp_path, labels(3))
    sampler = load_sampler(tmp_path)
    assert json.loads((tmp_path / "signature.json").read_text())["inputs"]["label"] == "int32 [B]"
    drawn = sampler.draw(0, 70, fields={"label": np.arange(70) % 2})
    np.testing.assert_array_equal(drawn[:, 0, 0, 0], np.where(np.arange(70) % 2, 128, 255))
    np.testing.assert_array_equal(sampler.draw(0, 4)[:, 0, 0, 0], [255, 128, 128, 255])  # all labels in turn
    np.testing.assert_array_equal(sampler.draw(0, 2, start=2)[:, 0, 0, 0], [128, 255])
    for field, message in [(np.array([3]), "label 3 is not a class"), (np.array([0, 1]), r"\[2\]; expected \[1\]")]:
        with pytest.raises(InputError, match=message):
            sampler.draw(0, 1, fields={"label": field})


def test_an_exported_sampler_takes_features(tmp_path):
    export_shade(tmp_path, features(2))
    sampler = load_sampler(tmp_path)
    drawn = sampler.draw(0, 2, fields={"features": np.array([[1.0, 0.0], [-1.0, 0.0]])})
    np.testing.assert_array_equal(drawn[:, 0, 0, 0], [255, 0])
    with pytest.raises(InputError, match="conditioned on 'features'"):
        sampler.draw(0, 2)


def test_an_unconditional_sampler_takes_no_fields(tmp_path):
    export_grey(tmp_path)
    with pytest.raises(InputError, match="not conditioned on 'label'"):
        load_sampler(tmp_path).draw(0, 1, fields={"label": np.zeros(1, np.int32)})


def write_images(path, num=64, classes=3, **arrays):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (num, 28, 28, 1), dtype=np.uint8)
    np.savez(path, image=image, label=np.arange(num) % classes, **arrays)
    return path


def test_an_archive_may_have_features(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(64, 5))
    dataset = load(str(write_images(tmp_path / "a.npz", features=vectors)))
    np.testing.assert_allclose(dataset.arrays["features"], vectors, rtol=1e-6)
    for wrong, message in [
        (vectors[:3], r"\[3, 5\]; expected numbers \[64, F\]"),
        (vectors * np.nan, "not finite"),
    ]:
        with pytest.raises(InputError, match=message):
            load(str(write_images(tmp_path / "b.npz", features=wrong)))


def test_a_grid_has_a_row_a_class(tmp_path):
    dataset = load(str(write_images(tmp_path / "a.npz")))
    fields, columns = grid_fields(labels(3), dataset, 64, 0)
    np.testing.assert_array_equal(fields["label"].reshape(-1, columns), np.repeat(np.arange(3)[:, None], 22, axis=1))
    assert grid_fields({}, dataset, 64, 0) == ({}, 8)
    fields, columns = grid_fields(labels(1_000), dataset, 64, 0)
    assert (len(fields["label"]), columns) == (64, 1)


cgan_mnist = load_program(ROOT / "experiments" / "cgan_mnist.py")


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conditional")
    data = write_images(folder / "images.npz")
    arguments = (*TINY, "--classes", 3, "--data", data, "--out", folder / "run", "--steps", 2)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run_here(monkeypatch, cgan_mnist.main, *arguments) == 0
    return folder / "run"


def test_a_run_draws_the_labels_given(conditional, tmp_path, monkeypatch):
    for name, options in [("all.npz", ()), ("some.npz", ("--label", 2, 0))]:
        assert run_here(monkeypatch, jaxgen, "sample", conditional, "--num", 7, "--out", tmp_path / name, *options) == 0
    every, some = (loaded(tmp_path / name) for name in ("all.npz", "some.npz"))
    np.testing.assert_array_equal(every["arr_1"], [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(some["arr_1"], [2, 0, 2, 0, 2, 0, 2])
    np.testing.assert_array_equal(every["arr_0"][3], some["arr_0"][3])  # image 3 is of label 0 in both
    assert (every["arr_0"][0] != some["arr_0"][0]).any()
    assert run_here(monkeypatch, jaxgen, "sample", conditional, "--num", 6, "--out", tmp_path / "grid.png") == 0
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (2 * (2 + 2 * 30), 2 * (2 + 3 * 30))  # three rows of two, twice as large


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--label", "3"), "label 3 is not a class: expected 0 to 2 (--label 3)"),
        (("--label", "-1"), "label -1 is not a class"),
        (("--features", "a.npz"), "is not conditioned on features"),
    ],
)
def test_what_does_not_fit_the_condition_is_one_line(conditional, monkeypatch, capsys, options, message):
    assert run_here(monkeypatch, jaxgen, "sample", conditional, *options) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_a_label_without_a_condition_is_one_line(tmp_path, monkeypatch, capsys):
    export_grey(tmp_path / "sampler")
    assert run_here(monkeypatch, jaxgen, "sample", tmp_path, "--label", 7) == 2
    assert "--label 7: " in capsys.readouterr().err


def test_rows_of_features_are_used_in_turn(tmp_path, monkeypatch, capsys):
    export_shade(tmp_path / "sampler", features(1))
    np.savez(tmp_path / "f.npz", features=np.array([[1.0], [-1.0]]))
    out = ("--num", 3, "--out", tmp_path / "out.npz")
    assert run_here(monkeypatch, jaxgen, "sample", tmp_path, *out, "--features", tmp_path / "f.npz") == 0
    np.testing.assert_array_equal(loaded(tmp_path / "out.npz")["arr_0"][:, 0, 0, 0], [255, 0, 255])
    assert run_here(monkeypatch, jaxgen, "sample", tmp_path, *out) == 2
    np.savez(tmp_path / "f.npz", features=np.zeros((2, 3)))
    assert run_here(monkeypatch, jaxgen, "sample", tmp_path, *out, "--features", tmp_path / "f.npz") == 2
    printed = capsys.readouterr().err
    assert "--features is missing" in printed
    assert "3 features per row; expected 1" in printed


def test_labels_outside_the_classes_are_refused_before_anything_is_written(tmp_path, monkeypatch, capsys):
    data = write_images(tmp_path / "images.npz", classes=5)
    arguments = (*TINY, "--classes", 3, "--data", data, "--out", tmp_path / "run")
    assert run_here(monkeypatch, cgan_mnist.main, *arguments) == 2
    assert "label 3 is not a class: expected 0 to 2 (--classes of the experiment)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_same_latent_with_another_label_is_another_image():
    config = cgan_mnist.Config(width=2, hidden=8, latent_size=4, batch_size=8, classes=3)
    recipe = cgan_mnist.build(config, ImageSpec(28, 28, 1))
    networks = jax.jit(recipe.networks)(jax.random.key(0))
    networks = {**networks, "generator_ema": networks["generator"]}
    keys = jnp.repeat(jax.random.key(1)[None], 3)
    same = jax.jit(recipe.sampler)(networks, keys, label=jnp.arange(3))
    assert jnp.abs(same[0] - same[1]).max() > 1e-4
    assert recipe.sampler.conditions["label"].classes == 3
