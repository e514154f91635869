"""`python -m jaxgen evaluate`."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import ImageSpec, Sampler
from jaxgen.cli import main
from jaxgen.core.condition import features, labels
from jaxgen.data import load
from jaxgen.evaluation import (
    METRICS,
    Reference,
    cifar10_network,
    digit_network,
    evaluate,
    frechet_distance,
    meanings,
    resize,
)
from jaxgen.export import ExportInfo, export_sampler
from tests.programs import run_here, write_images

SPEC = ImageSpec(28, 28, 1)


def export_grey(folder, conditions):
    """Exports a sampler of grey images that ignores its conditions."""
    sampler = Sampler(lambda _, keys, fields: jnp.zeros((*keys.shape, *SPEC)), conditions)
    export_sampler(sampler)(Path(folder), {}, ExportInfo(SPEC))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Drawn and real digits as files, in the working directory."""
    monkeypatch.chdir(tmp_path)
    digits = load("mnist", offline=True).arrays["image"]
    for name, part in (("drawn.npz", digits[::25]), ("real.npz", digits[12::25])):
        np.savez(name, part)
    write_images(tmp_path / "colour.npz", shape=(28, 28, 3))
    write_images(tmp_path / "small.npz", num=20)
    np.savez("test.npz", x_test=digits[12::25])
    np.savez("float.npz", digits[:9] / 2)
    for folder, sides in (("mixed", (28, 29)), ("bomb", (28, 9_000))):
        (tmp_path / folder).mkdir()
        for side in sides:
            Image.new("1", (side, side)).save(tmp_path / folder / f"{side}.png")
    export_grey("cvae/sampler", features(2))
    (tmp_path / "not.pth").write_bytes(b"no weights")
    (tmp_path / "torn.npz").write_bytes((tmp_path / "drawn.npz").read_bytes()[:5_000])
    return tmp_path


def test_measures_come_with_their_provenance(files, monkeypatch, capsys):
    options = ("evaluate", "drawn.npz", "--data", "real.npz", "--seed", 3)
    assert run_here(monkeypatch, main, *options) == 0
    record = json.loads((files / "evaluation.json").read_text())
    extract = [digit_network().extract(load(name).arrays["image"]).features for name in ("drawn.npz", "real.npz")]
    assert record["measures"]["Fréchet distance"]["value"] == pytest.approx(frechet_distance(*extract), rel=1e-6)
    assert record["drawn"] | {"sha256": ""} == {"source": "drawn.npz", "split": "all", "n": 200, "sha256": ""}
    assert record["real"]["sha256"] == load("real.npz").digest
    assert record["network"]["name"] == "digit classifier"
    assert len(record["network"]["sha256"]) == 64
    assert record["seed"] == 3
    assert record["network"]["resize"] == "none"
    printed = capsys.readouterr().out
    assert all(name in printed for name in record["measures"])
    assert "not with FID" in " ".join(printed.split())
    assert record["comparable_with"].endswith("not with FID.")
    before = (files / "evaluation.json").read_text()
    assert run_here(monkeypatch, main, *options) == 0
    assert (files / "evaluation.json").read_text() == before


@pytest.mark.parametrize("is_inception", [False, True])
def test_every_measure_has_a_meaning(is_inception):
    digits, network = load("mnist", offline=True), digit_network()._replace(is_inception=is_inception)
    image, label = (digits.arrays[name][::25] for name in ("image", "label"))
    reference = Reference(image, network.extract(image), train=image, held_out=image)
    metrics = tuple(metric.name for metric in METRICS)
    measures = evaluate(image[::-1], reference, network, metrics=metrics, labels=label[::-1])
    assert {"memorization", "label accuracy", "FID" if is_inception else "Fréchet distance"} <= measures.keys()
    assert measures.keys() <= meanings().keys()


@pytest.mark.parametrize("size", [(20, 12, 3), (64, 48, 1)])
def test_images_of_any_size_are_evaluated_beside_their_neighbours(tmp_path, monkeypatch, size):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (40, *size), np.uint8)
    drawn = np.clip(real[:20] + rng.integers(-1, 2, real[:20].shape), 0, 255).astype(np.uint8)
    for name, images in (("drawn.npz", drawn), ("real.npz", real)):
        np.savez(name, images)
    options = "--data", "real.npz", "--allow-few", "--out", "out.json", "--metrics", "frechet", "memorization"
    assert run_here(monkeypatch, main, "evaluate", "drawn.npz", *options) == 0
    record = json.loads((tmp_path / "out.json").read_text())
    height, width, channels = size
    assert record["network"]["name"] == "CIFAR-10 classifier"
    assert record["network"]["resize"].startswith(f"{height}x{width}x{channels} to 32x32x3: bicubic with antialiasing")
    assert ("grey repeated" in record["network"]["resize"]) == (channels == 1)
    small = [np.asarray(resize(images, ImageSpec(32, 32, 3))) for images in (drawn, real)]
    by_hand = [cifar10_network().extract(images).features for images in small]
    expected = frechet_distance(*by_hand, allow_few=True)
    assert record["measures"]["Fréchet distance"]["value"] == pytest.approx(expected, rel=1e-3)
    assert record["measures"]["copies"]["value"] == 1
    assert record["measures"]["memorization"]["value"] > 0.95
    assert record["training"]["sha256"] == record["real"]["sha256"]
    nearest = record["neighbours"]["nearest"]
    assert len(nearest) == len(record["neighbours"]["random"]) == 8
    assert all(row["training"][0] == row["drawn"] and row["grey_levels"][0] <= 1 for row in nearest)
    factor = max(1, 56 // min(height, width))
    with Image.open(tmp_path / record["neighbours"]["picture"]) as picture:
        assert picture.size == (factor * (9 * (width + 2) + 2), factor * (8 * (height + 2) + 2))


def test_held_out_images_of_an_archive_are_its_test_images(files, monkeypatch):
    digits = load("mnist", offline=True).arrays["image"]
    np.savez("both.npz", x_train=digits[::10], x_test=digits[5::25])
    for split, num in (("test", 200), ("train", 500)):
        options = "--data", "both.npz", "--split", split, "--metrics", "memorization"
        assert run_here(monkeypatch, main, "evaluate", "drawn.npz", *options) == 0
        record = json.loads((files / "evaluation.json").read_text())
        assert (record["real"]["split"], record["real"]["n"]) == (split, num)
        assert record["training"] | {"sha256": ""} == {"source": "both.npz", "split": "train", "n": 500, "sha256": ""}
    assert run_here(monkeypatch, main, "evaluate", "drawn.npz", "--data", "test.npz") == 0
    assert "memorization" not in json.loads((files / "evaluation.json").read_text())["measures"]


def test_metrics_are_chosen(files, monkeypatch):
    options = ("evaluate", "drawn.npz", "--data", "real.npz", "--metrics", "kernel", "diversity", "--num", 100)
    assert run_here(monkeypatch, main, *options, "--out", "chosen.json") == 0
    record = json.loads((files / "chosen.json").read_text())
    assert list(record["measures"]) == ["kernel distance", "diversity", "diversity of real"]
    assert "neighbours" not in record
    assert not (files / "chosen_neighbours.png").exists()
    assert record["drawn"]["n"] == record["real"]["n"] == 100


def test_classes_are_counted_where_they_are_the_networks_or_chosen(files, monkeypatch):
    options = "evaluate", "drawn.npz", "--num", 150, "--allow-few", "--data"
    for data, counted in (
        (("real.npz",), False),
        (("real.npz", "--metrics", "classes"), True),
        (("mnist", "--split", "train", "--offline"), True),
    ):
        assert run_here(monkeypatch, main, *options, *data) == 0
        assert ("classes covered" in json.loads((files / "evaluation.json").read_text())["measures"]) == counted


def test_accuracy_is_that_of_labels_which_are_the_classifiers(files, monkeypatch):
    digits = load("mnist", offline=True)
    image, label = (digits.arrays[name][::25] for name in ("image", "label"))
    np.savez("labelled.npz", image=image, label=label)
    for name in ("zero", "one"):  # which come in the order of the alphabet
        (files / "folder" / name).mkdir(parents=True)
    for number, (one, of) in enumerate(zip(image, label, strict=True)):
        Image.fromarray(one[..., 0]).save(files / "folder" / ("zero", "one")[of % 2] / f"{number}.png")
    against = "--data", "mnist", "--split", "train", "--offline", "--metrics", "classes", "--num"
    for drawn, num, expected in (("labelled.npz", 200, True), ("labelled.npz", 150, True), ("folder", 200, False)):
        assert run_here(monkeypatch, main, "evaluate", drawn, *against, num) == 0
        measures = json.loads((files / "evaluation.json").read_text())["measures"]
        assert ("label accuracy" in measures) == expected
        assert not expected or measures["label accuracy"]["value"] > 0.95
    against = "--data", "real.npz", "--metrics", "classes"  # whose labels may be of any classes
    assert run_here(monkeypatch, main, "evaluate", "labelled.npz", *against) == 0
    assert "label accuracy" not in json.loads((files / "evaluation.json").read_text())["measures"]


def test_a_conditional_run_is_refused_before_data_are_read(files, monkeypatch, capsys):
    for options, advised in ((("--data", "absent", "--data-dir", "a"), "absent --data-dir a"), ((), "<data>")):
        assert run_here(monkeypatch, main, "evaluate", "cvae", *options) == 2
        error = capsys.readouterr().err
        evaluating = f"python -m jaxgen evaluate drawn.npz --data {advised} --split test --num 10000"
        assert error.endswith(f"--out drawn.npz; and then {evaluating}\n")


def record_data(run, data):
    """Writes the record of a run on a data set of this name; None for one from Python."""
    rest = {"data": {"source": "", "digest": ""}, "recipe": "", "sessions": [{"versions": {}}]}
    record = {"experiment": "", "config": {"data": data}, **rest}
    (run / "config.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("conditions", "message"),
    [({}, "--data is missing: run names no data to compare with"), (features(2), "evaluate drawn.npz --data <data>")],
)
def test_a_run_on_data_from_python_needs_data_to_compare_with(files, monkeypatch, capsys, conditions, message):
    export_grey("run/sampler", conditions)
    record_data(files / "run", None)
    assert run_here(monkeypatch, main, "evaluate", "run") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (files / "run" / "evaluation.json").exists()


def test_the_labels_of_a_run_are_those_of_its_data(files, monkeypatch):
    export_grey("run/sampler", labels(10))
    against = "--data", "mnist", "--split", "train", "--offline", "--metrics", "classes", "--num", 20
    for data, expected in (("absent", False), (None, False), ("fashion_mnist", False), ("mnist", True)):
        if data != "absent":
            record_data(files / "run", data)
        assert run_here(monkeypatch, main, "evaluate", "run", *against) == 0
        measures = json.loads((files / "run" / "evaluation.json").read_text())["measures"]
        assert ("label accuracy" in measures) == expected


def test_without_test_images_training_images_serve(files, monkeypatch, capsys):
    options = ("evaluate", "drawn.npz", "--data", "mnist", "--offline", "--num", 200)
    assert run_here(monkeypatch, main, *options) == 2
    assert "--split train" in capsys.readouterr().err
    assert run_here(monkeypatch, main, *options, "--split", "train") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "There are no test images for memorisation" in printed
    assert "as near as" in printed  # training images among each other take their place
    record = json.loads((files / "evaluation.json").read_text())
    assert record["real"]["split"] == "train"
    assert record["training"]["n"] == 5_000
    assert "memorization" in record["measures"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("drawn.npz",), "--data is missing"),
        (("absent.npz", "--data", "real.npz"), "absent.npz is unknown"),
        (("runs/absent",), "runs/absent is not there: expected a run directory, or a folder or file of images"),
        (("drawn.npz", "--data", "real.npz", "--metrics", "fid"), "--metrics fid is unknown: expected frechet"),
        (("drawn.npz", "--data", "test.npz", "--metrics", "memorization"), "the training images are not known"),
        (("drawn.npz", "--data", "real.npz", "--num", 1), "--num 1"),
        (("drawn.npz", "--data", "real.npz", "--out", "absent/e.json"), "absent is not a folder"),
        (("small.npz", "--data", "real.npz"), "20 samples of 64 features"),
        (("colour.npz", "--data", "real.npz"), "28x28x3"),
        (("drawn.npz", "--data", "colour.npz"), "28x28x3"),
        (("float.npz", "--data", "real.npz"), "float64 from 0 to 127.5; expected [0, 1] or [-1, 1]"),
        (("torn.npz", "--data", "real.npz"), "cannot be read as an .npz"),
        (("mixed", "--data", "real.npz"), "29"),
        (("drawn.npz", "--data", "bomb"), "9000 x 9000 pixels"),
        (
            ("cvae", "--data", "real.npz"),
            "sample cvae --features features.npz --num 10000 --out drawn.npz; and then python -m jaxgen evaluate",
        ),
        (("drawn.npz", "--data", "real.npz", "--inception", "absent.pth"), "absent.pth cannot be read"),
        (("drawn.npz", "--data", "real.npz", "--inception", "not.pth"), "--inception not.pth"),
        (("drawn.npz", "--data", "real.npz", "--inception", "not.safetensors"), "not.safetensors cannot be read"),
    ],
)
def test_a_mistake_is_one_line(files, monkeypatch, capsys, options, message):
    assert run_here(monkeypatch, main, "evaluate", *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (files / "evaluation.json").exists()
