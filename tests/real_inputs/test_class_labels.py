"""Classes as folders and files have them: named, numbered from one, fewer or more than a model's, moved elsewhere."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jaxgen import Aux, ImageSpec, Sampler, mean, minimize
from jaxgen.cli import main as jaxgen
from jaxgen.core.condition import labels
from jaxgen.core.image import to_float
from jaxgen.data import load, subset, with_field
from jaxgen.data.class_names import CLASS_NAMES, label_of, listed, natural_order
from jaxgen.data.random_access import as_dataset
from jaxgen.export import ExportInfo, export_sampler, load_sampler
from jaxgen.io.errors import InputError
from jaxgen.training import Count, Recipe, RunConfig, RunDirectory, best_networks, run
from jaxgen.training.run_directory import require_same_run
from tests.programs import run_here

TWELVE = tuple(map(str, range(1, 13)))

ORDERS = [
    (("10", "2", "1"), ("1", "2", "10")),
    (TWELVE[::-1], TWELVE),
    (("cat", "Dog", "ant"), ("Dog", "ant", "cat")),
    (("class 10", "class 9", "class 100"), ("class 9", "class 10", "class 100")),
    (("2", "02", "002", "1"), ("1", "002", "02", "2")),
    (("v1.10", "v1.9", "v1"), ("v1", "v1.9", "v1.10")),
    (("n02", "n1", "2n"), ("2n", "n1", "n02")),
    (("²", "1", "٣"), ("1", "²", "٣")),
    (("-1", "1", "_"), ("1", "-1", "_")),
    (("9" * 200, "1" + "0" * 200), ("9" * 200, "1" + "0" * 200)),
    (("z", "é", "e"), ("e", "z", "é")),
]


def write_folder(folder, names, *, num=2, shape=(8, 8)):
    """Random images in a subfolder for each name."""
    for place, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(num):
            image = np.random.default_rng((place, number)).integers(0, 256, shape, np.uint8)
            Image.fromarray(image).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize(("names", "expected"), ORDERS)
def test_classes_are_in_natural_order(names, expected):
    assert tuple(sorted(names, key=natural_order)) == expected


@given(st.lists(st.text("01ab.", max_size=5), unique=True))
def test_the_natural_order_is_one_order(names):
    by_name, backwards = sorted(names), sorted(names, reverse=True)
    assert sorted(by_name, key=natural_order) == sorted(backwards, key=natural_order)


@pytest.mark.parametrize("most_bytes", [None, 0])
@pytest.mark.parametrize("names", [TWELVE, ("dog", "Cat"), ("T-shirt & top", "ångström")])
def test_the_folders_are_the_names_of_the_labels(tmp_path, names, most_bytes):
    data = load(str(write_folder(tmp_path / "data", names)), most_bytes=most_bytes)
    assert data.class_names == tuple(sorted(names, key=natural_order))
    assert data.classes == len(names)
    if most_bytes is None:
        image = np.asarray(Image.open(tmp_path / "data" / names[-1] / "0.png"))
        (place,) = np.flatnonzero((data.arrays["image"][..., 0] == image).all((1, 2)))
        assert data.class_names[data.arrays["label"][place]] == names[-1]


def test_a_name_that_is_no_text_is_written_out(tmp_path):
    (tmp_path / "data").mkdir()
    write_folder(tmp_path / "data", ["caf"])
    (tmp_path / "data" / "caf").rename(f"{tmp_path}/data/caf\udce9")
    assert load(str(tmp_path / "data")).class_names == ("caf\\xe9",)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("mnist", "0", "9"), ("fashion_mnist", "T-shirt/top", "Ankle boot"), ("cifar10", "airplane", "truck")],
)
def test_known_data_sets_have_the_names_of_their_authors(name, first, last):
    assert (CLASS_NAMES[name][0], CLASS_NAMES[name][-1], len(CLASS_NAMES[name])) == (first, last, 10)


def test_names_stay_with_a_subset_and_go_with_other_labels():
    digits = load("mnist", offline=True, announce=str)
    few = subset(digits, digits.arrays["label"] < 3, split="few")
    assert few.class_names == digits.class_names == CLASS_NAMES["mnist"]
    assert few.classes == 10
    parity = with_field(few, label=few.arrays["label"] % 2)
    assert (parity.class_names, parity.classes) == ((), 2)


class Examples(Sequence):
    """Examples from Python, with the labels that are given."""

    def __init__(self, numbers, names=None):
        self.numbers = numbers
        self.features = {"label": SimpleNamespace(names=names)} if names else {}

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        return {"image": np.full((4, 4), index, np.uint8), "label": self.numbers[index]}


@pytest.mark.parametrize("most_bytes", [None, 0])
@pytest.mark.parametrize(("names", "classes"), [(["cat", "dog", "fish"], (3, 3)), (None, (2, None))])
def test_a_data_set_from_python_may_name_its_classes(names, classes, most_bytes):
    data = as_dataset(Examples([0, 1, 0], names), most_bytes=most_bytes)
    assert data.class_names == tuple(names or ())
    assert data.classes == classes[most_bytes == 0]


WORDS = [
    ("1", ("cat", "dog"), 1),
    ("dog", ("cat", "dog"), 1),
    ("10", ("1", "2", "10"), 10),  # a number is a label, whatever the classes are called
    ("-1", ("cat",), -1),
    ("cafe\u0301", ("bar", "caf\u00e9"), 1),
    ("1a", ("1a", "1b"), 0),
    ("cow", ("cat", "dog"), "--label cow names no class: expected one of cat, dog."),
    ("Cat", ("cat", "dog"), "--label Cat names no class: expected one of cat, dog."),
    ("", ("cat",), "--label  names no class: expected one of cat."),
    ("1.0", ("cat",), "--label 1.0 names no class: expected one of cat."),
    ("cat", (), "--label cat names no class: expected a number, since the classes have no names."),
]


@pytest.mark.parametrize(("word", "names", "expected"), WORDS)
def test_a_label_is_a_number_or_a_name(word, names, expected):
    if isinstance(expected, int):
        assert label_of(word, names) == expected
    else:
        with pytest.raises(InputError) as refused:
            label_of(word, names)
        assert str(refused.value) == expected


def test_names_are_listed_in_one_line():
    assert listed(["a\nb", "c\x1b[1m", "é"]) == "a\\nb, c\\x1b[1m, é"
    assert label_of("cafe\u0301", ("caf\u00e9", "cafe\u0301")) == 1  # two folders that look alike


def test_many_names_are_cut():
    assert listed([str(number) for number in range(1_000)]).endswith("18, 19 and 980 more")


@dataclass(frozen=True)
class Config(RunConfig):
    """Learn the mean image of each class."""

    batch_size: Count = 4
    """Images per step."""
    classes: Count | None = None
    """Number of classes."""


def build(config, spec):
    """An image for each class."""
    conditions, size = labels(config.classes), spec.height * spec.width * spec.channels

    def images(networks, label):
        code = conditions["label"].encode(label)
        return (code @ networks["means"]["params"]["w"]).reshape(-1, *spec)

    def loss(networks, context):
        error = jnp.square(images(networks, context.batch["label"]) - to_float(context.batch["image"])).mean()
        return error, Aux({"error": mean(error)})

    return Recipe(
        networks=lambda key: {"means": {"params": {"w": jnp.zeros((config.classes, size))}}},
        update=minimize(loss, optax.sgd(1.0), wrt="means"),
        sampler=Sampler(lambda networks, keys, fields: images(networks, fields["label"]), conditions),
    )


def main():
    """Trains as the command line says."""
    run(tyro.cli(Config), build, name="means")


def trained(monkeypatch, data, *options, steps=1):
    return run_here(monkeypatch, main, "--data", data, "--out", "run", "--steps", steps, *options)


@pytest.fixture
def three(tmp_path, monkeypatch):
    """Three folders of images in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "three", ("cat", "dog", "fish"), num=9, shape=(28, 28))
    return tmp_path


MISMATCHES = [
    ("three", ("--classes", 10), "--data three has 3 classes; the model has 10: give --classes 3."),
    ("three", ("--classes", 2), "The label 2 is not a class: expected 0 to 1 (--classes of the experiment)."),
    ("three", ("--classes", 10, "--memory-gib", 1e-6), "--data three has 3 classes; the model has 10: give --classes"),
    ("three", ("--classes", 2, "--memory-gib", 1e-6), "--data three has 3 classes; the model has 2: give --classes 3."),
    ("mnist", ("--classes", 9, "--offline"), "The label 9 is not a class"),
    ("mnist", ("--classes", 12, "--offline"), "--data mnist has 10 classes; the model has 12: give --classes 10."),
    ("four.npz", ("--classes", 5), "--data four.npz has 4 classes; the model has 5: give --classes 4."),
    ("negative.npz", ("--classes", 4), "The label -1 is not a class: expected 0 to 3"),
    ("none.npz", (), "--classes is missing: none.npz has no labels"),
    ("none.npz", ("--classes", 3), "The data have no 'label'"),
]


@pytest.mark.parametrize(("data", "options", "message"), MISMATCHES)
def test_a_model_of_other_classes_than_the_data_is_refused_in_one_line(
    three, monkeypatch, capsys, data, options, message
):
    image, label = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8, 1), np.arange(4)
    np.savez("four.npz", image=image, label=label)
    np.savez("negative.npz", image=image, label=label - 1)
    np.savez("none.npz", image=image)
    assert trained(monkeypatch, data, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("numbers", "names", "classes", "message"),
    [
        ([0, 1, 2, 3] * 3, None, 3, "The label 3 is not a class: expected 0 to 2"),
        ([0, 1, 2, -1] * 3, None, 3, "The label -1 is not a class"),
        ([0, 1, 2, 0] * 3, ["a", "b", "c"], 4, "has 3 classes; the model has 4: give --classes 3"),
        ([0, 1, 2, 3] * 3, ["a", "b", "c"], 3, "The label 3 is not a class"),
        ([0, 1, 2, 0] * 3, None, None, "--classes is missing: 12 examples of a Examples"),
    ],
)
def test_labels_of_a_streamed_source_are_checked_as_they_are_read(tmp_path, numbers, names, classes, message):
    config = Config(out=tmp_path / "run", steps=3, memory_gib=1e-9, classes=classes)
    with pytest.raises(InputError, match=message):
        run(config, build, name="means", data=Examples(numbers, names))


def test_the_classes_of_a_run_are_those_of_its_data(three, monkeypatch, capsys):
    assert trained(monkeypatch, "three") == 0
    assert "Classes, by the rows of the sample grids: cat, dog, fish" in capsys.readouterr().out
    record = json.loads(Path("run/config.json").read_text())
    assert record["config"]["classes"] == 3
    assert record["data"]["class_names"] == ["cat", "dog", "fish"]
    condition = load_sampler("run/sampler").conditions["label"]
    assert (condition.classes, condition.class_names) == (3, ("cat", "dog", "fish"))
    networks = best_networks(Config(), build, RunDirectory("run"), ImageSpec(28, 28, 1))
    assert networks["means"]["params"]["w"].shape == (3, 784)
    for words, drawn in ((("cat", "2"), "4 images in s.npz: cat, fish"), ((), "cat, dog, fish"), (("dog",), ": dog")):
        label = ("--label", *words) if words else ()
        assert run_here(monkeypatch, jaxgen, "sample", "run", "--num", 4, "--out", "s.npz", *label) == 0
        assert drawn in capsys.readouterr().out
    for word, message in (("cow", "expected one of cat, dog, fish"), ("3", "expected 0 to 2 (--label 3)")):
        assert run_here(monkeypatch, jaxgen, "sample", "run", "--label", word) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("num", [4, 5, 8])
def test_each_row_of_a_grid_is_one_class(tmp_path, monkeypatch, num):
    monkeypatch.chdir(tmp_path)
    levels = jnp.array([-1.0, 0.0, 1.0])
    grey = Sampler(
        lambda _, keys, fields: jnp.ones((1, 8, 8, 1)) * levels[fields["label"], None, None, None], labels(3)
    )
    export_sampler(grey)(tmp_path / "run", {}, ExportInfo(ImageSpec(8, 8, 1)))
    assert run_here(monkeypatch, jaxgen, "sample", "run", "--num", num, "--out", "grid.png") == 0
    with Image.open("grid.png") as picture:
        grid = np.asarray(picture)
    rows = [np.unique(band[band != 64]) for band in np.array_split(grid, 3)]
    assert [row.tolist() for row in rows] == [[0], [128], [255]]


def test_a_folder_without_names_still_loads(tmp_path):
    sampler = Sampler(lambda _, keys, fields: jnp.zeros((*keys.shape, 4, 4, 1)), labels(3))
    export_sampler(sampler)(tmp_path / "named", {}, ExportInfo(ImageSpec(4, 4, 1), class_names=("a", "b", "c")))
    export_sampler(sampler)(tmp_path / "plain", {}, ExportInfo(ImageSpec(4, 4, 1)))
    assert load_sampler(tmp_path / "plain").conditions["label"].class_names == ()
    path = tmp_path / "named" / "signature.json"
    path.write_text(path.read_text().replace('"classes": 3', '"classes": 4'))
    with pytest.raises(InputError, match="3 names of 4 classes"):
        load_sampler(tmp_path / "named")


EVALUATE = ("--num", 20, "--allow-few", "--metrics", "kernel", "--out")


def move(source, to):
    shutil.move(source, to)


def change(folder):
    (Path(folder) / "cat" / "0.png").unlink()


PLACES = [
    ("where it was", lambda: None, ".", (), "of images in three"),
    ("from another folder", lambda: None, "sub", (), "three (all)"),
    ("a decoy of that name", lambda: shutil.copytree("three/cat", "sub/three"), "sub", (), "three (all)"),
    ("moved with the run", lambda: move("three", "sub/three"), "sub", (), "of images in three (all)"),
    ("moved", lambda: move("three", "moved"), ".", (), "run was trained on three, and there is no three or "),
    ("moved, and named", lambda: move("three", "moved"), ".", ("--data", "moved"), "of images in moved"),
    ("changed", lambda: change("three"), ".", (), "was trained on other images than three holds now: to compare"),
    ("changed, and named", lambda: change("three"), ".", ("--data", "three"), "of images in three"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on three folders, in memory and streamed, and its data beside it."""
    folder = tmp_path_factory.mktemp("finished")
    write_folder(folder / "three", ("cat", "dog", "fish"), num=9, shape=(28, 28))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, memory in (("memory", 1.0), ("streamed", 1e-6)):
            assert run_here(patch, main, "--data", "three", "--out", name, "--steps", 1, "--memory-gib", memory) == 0
    return folder


@pytest.mark.parametrize("kind", ["memory", "streamed"])
@pytest.mark.parametrize("row", range(len(PLACES)), ids=[row[0] for row in PLACES])
def test_evaluate_finds_the_data_of_a_run(finished, tmp_path, monkeypatch, capsys, kind, row):
    _, before, folder, options, expected = PLACES[row]
    shutil.copytree(finished / "three", tmp_path / "three")
    shutil.copytree(finished / kind, tmp_path / "run")
    (tmp_path / "sub").mkdir()
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace(str(finished.resolve()), str(tmp_path.resolve())))
    monkeypatch.chdir(tmp_path)
    before()
    monkeypatch.chdir(tmp_path / folder)
    code = run_here(monkeypatch, jaxgen, "evaluate", tmp_path / "run", *options, *EVALUATE, tmp_path / "e.json")
    printed = capsys.readouterr()
    assert code == (0 if printed.err == "" else 2)
    assert expected in (printed.out if code == 0 else printed.err)
    if code == 0 and "--data" not in options:
        assert ("random images stand for the 27 that" in printed.out) == (kind == "streamed")
    assert printed.err.count("\n") <= 1


def test_a_record_of_an_earlier_version_still_leads_to_the_data(finished, tmp_path, monkeypatch, capsys):
    shutil.copytree(finished / "memory", tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    record = json.loads(path.read_text())
    record.pop("places")
    record["data"] = {name: record["data"][name] for name in ("source", "split", "images", "digest")}
    path.write_text(json.dumps(record))
    monkeypatch.chdir(finished)
    assert run_here(monkeypatch, jaxgen, "evaluate", tmp_path / "run", *EVALUATE, tmp_path / "e.json") == 0
    monkeypatch.chdir(tmp_path)
    assert run_here(monkeypatch, jaxgen, "evaluate", "run", *EVALUATE, "e.json") == 2
    assert "run was trained on three, and there is no three: give --data" in capsys.readouterr().err


def test_a_run_is_resumed_from_another_working_directory(three, monkeypatch, capsys):
    assert trained(monkeypatch, "three") == 0
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    options = ("--data", "../three", "--out", "../run", "--steps", 2)
    assert run_here(monkeypatch, main, *options) == 0
    assert "from step 1" in capsys.readouterr().out
    change("../three")
    assert run_here(monkeypatch, main, *options) == 2
    assert "holds a run on other data (images in " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("places", "is_same"), [((None, None), False), (("/a", "/a"), True), (("/a", "/b"), False), ((None, "/a"), False)]
)
def test_a_path_typed_from_another_working_directory_is_the_same_option(places, is_same):
    def record(typed, place):
        known = {} if place is None else {"places": {"captions": place}}
        rest = {"experiment": "e", "data": {"digest": ""}, "recipe": "", "sessions": [{"versions": {}}]}
        return {"format": 2, "config": {"captions": typed}, **rest, **known}

    earlier, now = record("a", places[0]), record("../a", places[1])
    if is_same:
        require_same_run(Path("run"), earlier, now, frozenset())
    else:
        with pytest.raises(InputError, match="with captions = a, not"):
            require_same_run(Path("run"), earlier, now, frozenset())
