"""Sets of images as they come: sorted by class, tiny, constant, of copies, with features that are no numbers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgen.cli.image_sets import choose
from jaxgen.data import load, make_dataset
from jaxgen.evaluation import (
    METRICS,
    Estimate,
    Evaluated,
    Features,
    Reference,
    cached_features,
    class_score,
    colourfulness,
    compare_manifolds,
    compare_pairs,
    count_active_units,
    count_classes,
    diversity,
    evaluate,
    feature_network,
    frechet_distance,
    kernel_distance,
    label_accuracy,
    mean_of,
    meanings,
    memorization,
    mutual_information_gap,
    negative_log_likelihood,
    relative_distance,
    retrieval_accuracy,
)
from jaxgen.evaluation.order import content_order
from jaxgen.io.errors import InputError

RANDOM = np.random.default_rng(0)
NUM = 60
FEATURES, OTHERS = (RANDOM.normal(size=(num, 4)).astype(np.float32) for num in (NUM, 70))
PROBABILITIES = RANDOM.dirichlet(np.ones(3), NUM)
IMAGES = RANDOM.integers(0, 256, (NUM, 12, 12, 3), np.uint8)
WORDS = np.arange(NUM)
"""Labels, factors and the numbers of texts."""


def values(result):
    """All numbers of a result; those that it does not give are NaN."""
    numbers = jax.tree.leaves(result, is_leaf=lambda value: value is None)
    return np.hstack([np.nan if number is None else number for number in numbers]).astype(float)


def likelihood(images):
    def log_weights(images, key, samples):
        return images.sum((1, 2, 3)) / 1e4 + jax.random.normal(key, (samples, len(images)))

    return negative_log_likelihood(log_weights, images, samples=3, batch=7)


def evaluated(order):
    """All measures of `METRICS` of images in some order, with those that they are compared with in another."""
    images, features, probabilities = IMAGES[order], FEATURES[order], PROBABILITIES[order]
    network = feature_network("none", lambda image: image)
    others = order[::-1]
    reference = Reference(IMAGES[others], Features(OTHERS[others]), train=IMAGES[order], held_out=IMAGES[others] // 2)
    one = Evaluated(images, Features(features, probabilities), reference, network, 0, False, WORDS[order] % 3)
    return {name: value for metric in METRICS for name, value in metric.compute(one).items()}


MEASURES = {
    "Fréchet distance": lambda o: frechet_distance(FEATURES[o], OTHERS[o]),
    "kernel distance": lambda o: kernel_distance(FEATURES[o], OTHERS[o], subset=20),
    "precision, recall, density, coverage": lambda o: compare_manifolds(FEATURES[o], OTHERS[o]),
    "manifolds of equal sets": lambda o: compare_manifolds(FEATURES, FEATURES[o]),
    "memorisation": lambda o: memorization(FEATURES[o], OTHERS[o], FEATURES[o]),
    "class score": lambda o: class_score(PROBABILITIES[o]),
    "class score of certain predictions": lambda o: class_score(np.eye(3)[WORDS[o] // 20]),
    "counts of classes": lambda o: count_classes(PROBABILITIES[o]),
    "label accuracy": lambda o: label_accuracy(PROBABILITIES[o], WORDS[o] % 3),
    "retrieval accuracy": lambda o: retrieval_accuracy(FEATURES[o], FEATURES[:20], own=WORDS[o] % 20, candidates=5),
    "retrieval accuracy, texts in any order": lambda o: retrieval_accuracy(FEATURES, OTHERS[o], own=o.argsort()),
    "diversity": lambda o: diversity(IMAGES[o], pairs=50),
    "errors of pairs": lambda o: compare_pairs(IMAGES[o], IMAGES[o] // 2),
    "colourfulness": lambda o: mean_of(colourfulness(IMAGES[o])),
    "likelihood": lambda o: likelihood(IMAGES[o]),
    "active units": lambda o: count_active_units(FEATURES[o]),
    "mutual information gap": lambda o: mutual_information_gap(FEATURES[o], WORDS[o, None] % 3),
    "relative distance": lambda o: relative_distance(FEATURES[o], OTHERS[o]),
    "all metrics": evaluated,
}


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_does_not_depend_on_the_order_of_the_files(name):
    measure = MEASURES[name]
    first = values(measure(WORDS))
    for order in (FEATURES[:, 0].argsort(), RANDOM.permutation(NUM)):
        np.testing.assert_allclose(values(measure(order)), first, rtol=1e-5, atol=1e-9)


@given(st.permutations(range(30)), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_order_by_content_is_the_same_for_every_permutation(order, copies):
    order = np.array(order) // (copies + 1)  # so that some rows are copies
    rows, labels = FEATURES[order], WORDS[order] % 2
    for arrays in ((rows,), (rows, labels)):
        first, again = content_order(*arrays), content_order(*(array[::-1] for array in arrays))
        assert sorted(first) == list(range(30))
        for array in arrays:
            np.testing.assert_array_equal(array[first], array[::-1][again])


@given(st.permutations(range(NUM)))
@settings(max_examples=8, deadline=None)
def test_subsets_and_resamples_are_functions_of_the_set(order):
    order = np.array(order)
    for measure in (
        lambda o: kernel_distance(FEATURES[o], OTHERS, subset=15),
        lambda o: class_score(PROBABILITIES[o]),
        lambda o: retrieval_accuracy(FEATURES[o], FEATURES[:20], own=WORDS[o] % 20, candidates=5),
        lambda o: relative_distance(FEATURES[o], OTHERS[o]),
    ):
        np.testing.assert_allclose(values(measure(order)), values(measure(WORDS)), rtol=1e-6)


@given(st.permutations(range(NUM)), st.integers(1, NUM))
@settings(max_examples=25, deadline=None)
def test_the_same_images_are_chosen_from_a_folder_in_any_order(order, num):
    def chosen(order):
        part = choose(make_dataset(IMAGES[order], WORDS[order], source="", split="all"), num, seed=1)
        return set(part.arrays["label"].tolist())

    assert chosen(np.array(order)) == chosen(WORDS)


def test_digits_sorted_by_class_score_like_shuffled_ones():
    label = load("mnist", offline=True, announce=str).arrays["label"]
    probabilities = 0.98 * np.eye(10)[np.sort(label)] + 0.002
    by_class, shuffled = (class_score(probabilities[o]) for o in (slice(None), RANDOM.permutation(len(label))))
    assert by_class == shuffled
    assert by_class.value == pytest.approx(class_score(probabilities, splits=1).value, rel=0.01)  # it was 1.07 of 9.70


SETS = {
    "20 samples of 60 features": RANDOM.normal(size=(20, 60)),
    "more samples than features": RANDOM.normal(size=(60, 5)),
    "two samples": RANDOM.normal(size=(2, 9)),
    "constant features": np.ones((20, 4)),
    "a constant feature": RANDOM.normal(size=(20, 3)) * [1, 1, 0],
    "features of 1e-15": 1e-15 * RANDOM.normal(size=(30, 3)),
    "features of 1e15": 1e15 * RANDOM.normal(size=(30, 3)),
    "copies": np.repeat(RANDOM.normal(size=(3, 6)), 10, axis=0),
}


@pytest.mark.parametrize("name", SETS)
def test_the_frechet_distance_of_equal_sets_is_zero_and_never_below(name):
    features = SETS[name]
    scale = float(np.square(features).mean())
    distance = partial(frechet_distance, allow_few=True)
    assert distance(features, features) == 0
    assert 0 <= distance(features, RANDOM.permutation(features)) <= 1e-20 * scale
    near = features + 1e-9 * np.sqrt(scale) * RANDOM.normal(size=features.shape)
    assert 0 <= distance(features, near) <= 1e-6 * scale * features.shape[1]
    assert distance(features, near) == pytest.approx(distance(near, features), rel=1e-6, abs=1e-12 * scale)


@given(st.integers(2, 12), st.integers(1, 8), st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_the_frechet_distance_is_symmetric_and_at_least_that_of_the_means(num, size, seed):
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(num, size)), random.normal(size=(num + 3, size)) + random.normal(size=size)
    there, back = (frechet_distance(*pair, allow_few=True) for pair in ((first, second), (second, first)))
    assert there == pytest.approx(back, rel=1e-9)
    assert there >= np.square(first.mean(0) - second.mean(0)).sum() * (1 - 1e-12)


def counted(name, value, digest=""):
    """A feature network, and the list of the numbers of images that it was called with."""
    network, calls = feature_network(name, lambda image: jnp.full((len(image), 2), value), digest=digest), []
    return network._replace(extract=lambda images: calls.append(len(images)) or network.extract(images)), calls


def test_two_feature_functions_of_one_name_do_not_share_features():
    (one, _), (other, _) = counted("mine", 1.0), counted("mine", 2.0)
    assert cached_features(one, IMAGES, "set of one name").features.max() == 1
    assert cached_features(other, IMAGES, "set of one name").features.max() == 2


@pytest.mark.parametrize(("digest", "calls"), [("", [NUM, NUM]), ("weights", [NUM])])
def test_features_are_cached_only_for_a_network_with_a_digest(digest, calls):
    network, called = counted("counted", 1.0, digest)
    for _ in range(2):
        cached_features(network, IMAGES, f"set of {digest}")
    assert called == calls


F, P, X = FEATURES, PROBABILITIES, IMAGES
NAN, HUGE = np.full((9, 4), np.nan), np.full((9, 4), 1e39)
CONSTANT, GREY = np.ones((9, 4), np.float32), np.full((9, 12, 12, 3), 128, np.uint8)
SAME = Estimate(1.0, 0.0)

REFUSED = [
    (lambda: mean_of([]), "The mean of 0 values; expected at least one, and no NaN"),
    (lambda: mean_of([1.0, np.nan]), "no NaN"),
    (lambda: frechet_distance(F[:0], F), "0 samples; expected at least"),
    (lambda: frechet_distance(F[:1], F), "1 samples; expected at least 2"),
    (lambda: frechet_distance(F[:2], F), "2 samples of 4 features; expected more samples .* allow few"),
    (lambda: frechet_distance(NAN, F), "not finite"),
    (lambda: frechet_distance(F[:, :0], F[:, :0]), "expected .N, F. with F > 0"),
    (lambda: kernel_distance(F[:1], F), "1 samples; expected at least 2"),
    (lambda: kernel_distance(F, NAN), "not finite"),
    (lambda: kernel_distance(F, HUGE), "not finite in float32"),
    (lambda: compare_manifolds(F[:5], F), "5 samples; expected at least 6"),
    (lambda: compare_manifolds(F, NAN), "not finite"),
    (lambda: compare_manifolds(F, HUGE), "not finite in float32"),
    (lambda: memorization(F[:0], F, F), "0 samples"),
    (lambda: memorization(F, F, NAN), "not finite"),
    (lambda: class_score(P[:0]), "expected .N, K."),
    (lambda: class_score(P[:1]), "10 splits of 1 samples"),
    (lambda: class_score(NAN), "not finite"),
    (lambda: count_classes(P[:0]), "expected .N, K."),
    (lambda: label_accuracy(P, WORDS), "The label 3 is not a class: expected 0 to 2"),
    (lambda: label_accuracy(P, -1 - WORDS), "The label -1 is not a class"),
    (lambda: retrieval_accuracy(F[:0], F), "0 samples"),
    (lambda: retrieval_accuracy(F[:1], F[:1]), "10 candidates of 1 texts"),
    (lambda: diversity(X[:0]), "expected .N, H, W, C."),
    (lambda: diversity(X[:1]), "1 images; expected at least 2"),
    (lambda: compare_pairs(X[:0], X[:0]), "expected .N, H, W, C."),
    (lambda: colourfulness(X[:0]), "expected .N, H, W, C."),
    (lambda: likelihood(X[:0]), "expected at least 1 of each"),
    (lambda: negative_log_likelihood(lambda i, _, n: jnp.full((n, len(i)), jnp.nan), X, samples=2), "no NaN"),
    (lambda: count_active_units(F[:1]), "1 samples; expected at least 2"),
    (lambda: count_active_units(NAN), "not finite"),
    (lambda: mutual_information_gap(NAN, WORDS[:9, None]), "not finite"),
    (lambda: mutual_information_gap(F, WORDS[:, None][:, :0]), "There are no factors"),
    (lambda: mutual_information_gap(F[:0], WORDS[:0, None]), "0 samples"),
    (lambda: relative_distance(NAN, NAN), "not finite"),
    (lambda: relative_distance(F[:0], F[:0]), "0 samples"),
    (lambda: relative_distance(F[:1], F[:1]), "all 1 images are equal"),
    (lambda: relative_distance(F[:9], F[:8]), "9 and 8 features"),
]


@pytest.mark.parametrize("row", range(len(REFUSED)))
def test_sets_without_a_value_are_refused_in_one_line(row):
    measure, message = REFUSED[row]
    with pytest.raises(InputError, match=message) as refused:
        measure()
    assert "\n" not in str(refused.value)


RIGHT = [
    (lambda: mean_of([3.0]), Estimate(3.0)),
    (lambda: mean_of([np.inf, 1.0]), Estimate(np.inf)),
    (lambda: frechet_distance(CONSTANT, CONSTANT + 2), 4 * 2**2),
    (lambda: frechet_distance(F[:2], F[:2], allow_few=True), 0),
    (lambda: kernel_distance(CONSTANT, CONSTANT), Estimate(0.0)),
    (lambda: compare_manifolds(CONSTANT, CONSTANT), (SAME, SAME, Estimate(9 / 5, 0.0), SAME)),
    (lambda: compare_manifolds(CONSTANT, CONSTANT + 1), (Estimate(0.0, 0.0),) * 4),
    (lambda: compare_manifolds(1e-25 * F, 1e-25 * OTHERS), compare_manifolds(F, OTHERS)),
    (lambda: compare_manifolds(1e25 * F, 1e25 * OTHERS), compare_manifolds(F, OTHERS)),
    (lambda: memorization(CONSTANT, CONSTANT, CONSTANT).value, 0.5),
    (lambda: memorization(F[:1], F[1:2], F[:1]).value, 1.0),
    (lambda: memorization(1e25 * F, 1e25 * OTHERS, 1e25 * F), memorization(F, OTHERS, F)),
    (lambda: class_score(P[:1], splits=1), Estimate(1.0)),
    (lambda: class_score(np.tile(P[:1], (20, 1))), Estimate(1.0, 0.0)),
    (lambda: count_classes(P[:1]).covered, 1),
    (lambda: diversity(GREY), Estimate(0.0, 0.0)),
    (lambda: diversity(X[:2]).standard_error, None),
    (lambda: diversity(np.concatenate([GREY, GREY])), Estimate(0.0, 0.0)),
    (lambda: compare_pairs(GREY, GREY).ssim.value, 1.0),
    (lambda: compare_pairs(GREY[:1], GREY[:1]).mse, Estimate(0.0)),
    (lambda: colourfulness(GREY).max(), 0.0),
    (lambda: count_active_units(CONSTANT), 0),
    (lambda: mutual_information_gap(CONSTANT, WORDS[:9, None]), 0.0),
]


@pytest.mark.parametrize("row", range(len(RIGHT)))
def test_sets_at_the_edge_have_their_right_value(row):
    measure, expected = RIGHT[row]
    np.testing.assert_allclose(values(measure()), values(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("num", "left_out"), [(2, True), (5, True), (6, False)])
def test_what_needs_more_images_is_left_out_of_the_table(num, left_out):
    network = feature_network("mean", lambda image: image.mean((1, 2)).astype(jnp.float32))
    reference = Reference(IMAGES, network.extract(IMAGES))
    measures = evaluate(IMAGES[:num], reference, network, allow_few=True)
    assert ("precision" not in measures) == left_out
    assert all(np.isfinite(estimate.value) for estimate in measures.values())
    with pytest.raises(InputError, match="--metrics manifold does not apply: it needs 6 images of each kind"):
        evaluate(IMAGES[:5], reference, network, metrics=("manifold",))


def test_the_table_names_the_rarest_class():
    network = feature_network("none", lambda image: image)._replace(class_names=("cat", "dog", "fish"))
    features = Features(FEATURES[:4], np.eye(3)[[0, 0, 1, 1]])
    one = Evaluated(IMAGES[:4], features, Reference(IMAGES, Features(OTHERS)), network, 0, True, None)
    assert meanings(one)["rarest class"] == "share of drawn images that are fish"
    assert meanings()["rarest class"] == "its share of drawn images"
