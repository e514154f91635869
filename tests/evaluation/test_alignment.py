import jax
import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.data.tokenizer import train_tokenizer
from jaxgen.evaluation import Matcher, label_accuracy, load_matcher, retrieval_accuracy, save_matcher
from jaxgen.losses import symmetric_cross_entropy
from jaxgen.nets import Matching
from tests.nets.variables import variables_of


def test_label_accuracy_is_the_share_of_labels_that_are_most_probable():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])
    assert label_accuracy(probabilities, np.array([0, 1, 1, 1])).value == 0.75
    with pytest.raises(InputError, match="expected one each"):
        label_accuracy(probabilities, np.array([0]))


@pytest.mark.parametrize("own", [np.arange(3), np.full(12, 12), np.full(12, -1)])
def test_images_without_a_text_are_refused(own):
    features = np.eye(12)
    with pytest.raises(InputError, match="12 images and 12 texts"):
        retrieval_accuracy(features, features, own=own)


def test_retrieval_is_certain_of_matched_features_and_chance_of_unrelated_ones():
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(400, 64))
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    own = rng.permutation(400)
    assert retrieval_accuracy(texts[own], texts, own=own).value == 1
    chance = retrieval_accuracy(rng.normal(size=(4_000, 64)), texts, own=np.arange(4_000) % 400)
    assert abs(chance.value - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 4_000)
    assert retrieval_accuracy(-texts, texts).value == 0


def test_candidates_are_other_texts():
    # With as many candidates as texts every other text is one: the own text is beaten by exactly one of them.
    texts = np.eye(5)
    images = texts + 2 * np.eye(5)[[1, 2, 3, 4, 0]]
    assert retrieval_accuracy(images, texts, candidates=5).value == 0
    with pytest.raises(InputError, match="6 candidates of 5 texts"):
        retrieval_accuracy(images, texts, candidates=6)


def test_the_contrastive_loss_of_unrelated_pairs_is_the_logarithm_of_their_number():
    loss = jax.jit(symmetric_cross_entropy)
    same = np.full((7, 4), 0.5, np.float32)
    np.testing.assert_allclose(loss(same, same, 0.1), np.log(7), rtol=1e-5)
    apart = np.eye(7, dtype=np.float32)
    np.testing.assert_allclose(loss(apart, apart, 0.01), 0, atol=1e-5)
    u, v = np.random.default_rng(0).normal(size=(2, 7, 4)).astype(np.float32)
    np.testing.assert_allclose(loss(u, v, 0.5), loss(v, u, 0.5), rtol=1e-5, atol=1e-5)


def test_a_matching_network_is_the_same_after_it_was_stored(tmp_path):
    tokenizer = train_tokenizer(["a red heart", "a blue car"], length=4, size=16)
    inputs = np.zeros((1, 32, 32, 3), np.float32), np.zeros((1, 4), np.int32)
    variables = variables_of(Matching(tokenizer.size), *inputs)
    save_matcher(tmp_path, Matcher(variables, tokenizer))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    before = Matcher(variables, tokenizer).extract(images, ["red heart", "blue car"])
    after = load_matcher(tmp_path).extract(images, ["red heart", "blue car"])
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, rtol=1e-4)
    with pytest.raises(InputError, match="32x32x3 and a text for each"):
        load_matcher(tmp_path).extract(images, ["red heart"])
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="holds no matching network"):
        load_matcher(tmp_path)
