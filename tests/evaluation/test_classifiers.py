"""The packaged classifiers, and feature networks in general."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import InputError, to_float
from jaxgen.data import load, make_dataset
from jaxgen.evaluation import cached_features, digit_network, feature_network, network, packaged_network
from jaxgen.evaluation.classifiers import CIFAR10_CLASSIFIER, DIGIT_CLASSIFIER, classifier_network
from jaxgen.evaluation.weights import digest_of, read_weights, write_weights
from jaxgen.nets import forward
from tests.programs import ROOT, load_program, run_here

PREPARED = ROOT.parent / "shared" / "data" / "tfds"


@pytest.mark.parametrize("classifier", [DIGIT_CLASSIFIER, CIFAR10_CLASSIFIER])
def test_the_weights_are_small(classifier):
    assert classifier.weights.stat().st_size < 1_000_000


def test_the_classifier_recognises_the_embedded_digits():
    digits = load("mnist", offline=True)
    extracted = digit_network().extract(digits.arrays["image"])
    assert extracted.features.shape == (5_000, 64)
    np.testing.assert_allclose(extracted.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (extracted.probabilities.argmax(axis=1) == digits.arrays["label"]).mean() > 0.985


@pytest.mark.skipif(not PREPARED.is_dir(), reason=f"no prepared data sets are in {PREPARED}")
@pytest.mark.parametrize(
    ("classifier", "share"), [(DIGIT_CLASSIFIER, 0.99), pytest.param(CIFAR10_CLASSIFIER, 0.83, marks=pytest.mark.long)]
)
def test_the_classifiers_recognise_test_images(classifier, share):
    images = load(classifier.labels_of[0], split="test", data_dir=PREPARED)
    extracted = classifier_network(classifier).extract(images.arrays["image"])
    assert (extracted.probabilities.argmax(axis=1) == images.arrays["label"]).mean() > share


def test_features_do_not_depend_on_the_number_of_images():
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 1), np.uint8)
    double = feature_network("double", lambda image: 2.0 * image.reshape(len(image), -1))
    np.testing.assert_array_equal(double.extract(images).features, 2.0 * images.reshape(7, -1))
    in_twos = network.in_chunks(lambda image: (2.0 * image.reshape(len(image), -1), None), chunk=2)
    np.testing.assert_array_equal(in_twos(images).features, double.extract(images).features)


def test_the_features_of_a_reference_are_extracted_once_by_each_network():
    images, calls = np.zeros((3, 4, 4, 1), np.uint8), []

    def counting(name, value):
        made = feature_network(name, lambda image: jnp.full((len(image), 2), value), digest=name)
        return made._replace(extract=lambda images: calls.append(name) or made.extract(images))

    one, two = counting("one", 1.0), counting("two", 2.0)
    for chosen, value in ((one, 1), (two, 2), (one, 1)):
        np.testing.assert_array_equal(cached_features(chosen, images, "digest").features, np.full((3, 2), value))
    assert calls == ["one", "two"]
    assert cached_features(one, images, "another digest").features.shape == (3, 2)
    assert calls == ["one", "two", "one"]


def test_features_that_are_not_finite_are_refused():
    broken = feature_network("broken", lambda image: jnp.full((len(image), 2), jnp.nan))
    with pytest.raises(InputError, match="not finite"):
        broken.extract(np.zeros((3, 4, 4, 1), np.uint8))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:1_000], "is not a valid safetensors file"),
        (lambda data: b"\xff" * 8 + data[8:], "is not a valid safetensors file"),
        (lambda data: b"", "is not a valid safetensors file"),
    ],
)
def test_damaged_weights_are_refused(tmp_path, damage, message):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(damage(DIGIT_CLASSIFIER.weights.read_bytes()))
    with pytest.raises(InputError, match=message):
        digit_network(path)


def test_transposed_weights_survive_the_file(tmp_path):
    path, w = tmp_path / "weights.safetensors", np.arange(6, dtype=np.float32).reshape(2, 3).T
    write_weights(path, {"params": {"w": w}})
    np.testing.assert_array_equal(read_weights(path, {"params": {"w": w}})["params"]["w"], w)


def test_weights_of_another_network_are_refused(tmp_path):
    path, template = tmp_path / "weights.safetensors", {"params": {"w": np.zeros(3, np.float32)}}
    write_weights(path, {"params": {"w": np.zeros(4, np.float32)}})
    with pytest.raises(InputError, match=r"params.w is float32\[4\]; expected float32\[3\]"):
        read_weights(path, template)
    write_weights(path, {"params": {"v": np.zeros(3, np.float32)}})
    with pytest.raises(InputError, match=r"params\.w is absent"):
        read_weights(path, template)
    write_weights(path, {"params": {"w": np.array([1, 2, np.nan], np.float32)}})
    with pytest.raises(InputError, match="not finite"):
        read_weights(path, template)
    with pytest.raises(InputError, match="cannot be read"):
        read_weights(tmp_path / "absent", template)


def test_images_of_another_size_are_refused_by_a_classifier_of_one_size():
    with pytest.raises(InputError, match="28x28x1; these are 32x32x3"):
        digit_network().extract(np.zeros((2, 32, 32, 3), np.uint8))


@pytest.mark.parametrize("classifier", [DIGIT_CLASSIFIER, CIFAR10_CLASSIFIER])
def test_a_packaged_network_is_that_of_the_size(classifier):
    images = np.random.default_rng(0).integers(0, 256, (3, *classifier.spec), np.uint8)
    chosen = packaged_network(classifier.spec)
    assert (chosen.digest, chosen.resize) == (digest_of(classifier.weights), "none")
    chex.assert_trees_all_equal(chosen.extract(images), classifier_network(classifier).extract(images))


@pytest.fixture
def training_program(monkeypatch):
    """The program that trains classifiers, on the embedded digits and without training, and the variables it writes."""
    program = load_program(ROOT / "experiments" / "classifiers" / "classifier.py")
    module, example = DIGIT_CLASSIFIER.module, jnp.zeros((1, 28, 28, 1))
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), example, train=False))
    learned = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)
    monkeypatch.setattr(program, "load", lambda *_, **__: load("mnist", offline=True))
    monkeypatch.setattr(program, "train_classifier", lambda *_: learned)
    return program, learned


@pytest.fixture
def few_are_enough(training_program, monkeypatch):
    training = training_program[0].TRAININGS["mnist"]
    few = training._replace(classifier=training.classifier._replace(num_trained=5_000))
    monkeypatch.setitem(training_program[0].TRAININGS, "mnist", few)


def test_a_part_of_the_training_images_is_refused(tmp_path, monkeypatch, capsys, training_program):
    assert run_here(monkeypatch, training_program[0].main, "--out", tmp_path / "new") == 2
    assert "has 5,000 images; expected all 60,000: give --data-dir" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("few_are_enough")
def test_the_trained_weights_are_written_and_tested(tmp_path, monkeypatch, capsys, training_program):
    program, learned = training_program
    assert run_here(monkeypatch, program.main, "--out", tmp_path / "new" / "folder") == 0
    assert "Test accuracy 10.00% of 5,000 images" in capsys.readouterr().out  # zeros make every digit a zero
    written = tmp_path / "new" / "folder" / DIGIT_CLASSIFIER.weights.name
    chex.assert_trees_all_equal(read_weights(written, learned), learned)


@pytest.mark.usefixtures("few_are_enough")
def test_a_folder_that_cannot_be_written_to_is_refused_before_training(tmp_path, monkeypatch, capsys, training_program):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    program, _ = training_program
    monkeypatch.setattr(program, "TemporaryFile", refuse)
    monkeypatch.setattr(program, "train_classifier", lambda *_: pytest.fail("it was trained"))
    assert run_here(monkeypatch, program.main, "--out", tmp_path) == 2
    assert f"--out {tmp_path} cannot be written: Permission denied." in capsys.readouterr().err


@pytest.mark.long
def test_a_classifier_learns_to_distinguish_black_from_white():
    program = load_program(ROOT / "experiments" / "classifiers" / "classifier.py")
    label = np.arange(512) % 2
    image = np.broadcast_to(255 * label[:, None, None, None], (512, 28, 28, 1)).astype(np.uint8)
    dataset = make_dataset(image, label, source="black and white", split="train")
    training = program.TRAININGS["mnist"]._replace(epochs=10)
    variables = program.train_classifier(dataset, training)
    (_, logits), _ = forward(DIGIT_CLASSIFIER.module, variables, to_float(image[:64]), train=False)
    np.testing.assert_array_equal(logits.argmax(1), label[:64])
